/**
 * Writes the pages of the manual that are made of the program itself: docs/configuration.md from the schema, and
 * docs/clients.md from the table of clients. Run: bun scripts/manual.ts (a test compares).
 */
import { configurationPage } from "../src/config/reference.ts";
import { clientsPage } from "./clients-page.ts";

const at = (file: string): URL => new URL(`../docs/${file}`, import.meta.url);
await Bun.write(at("configuration.md"), configurationPage());
await Bun.write(at("clients.md"), clientsPage());
