/**
 * Writes what the manual takes from the program itself: docs/configuration.md from the schema, and the table of clients
 * in README.md. Run: bun scripts/manual.ts (a test compares).
 */
import { configurationPage } from "../src/config/reference.ts";
import { clientsSection, replaceSection } from "./clients-section.ts";

const at = (file: string): URL => new URL(`../${file}`, import.meta.url);
await Bun.write(at("docs/configuration.md"), configurationPage());
const readme = await Bun.file(at("README.md")).text();
await Bun.write(at("README.md"), replaceSection(readme, clientsSection()));
