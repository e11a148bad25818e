import { readFileSync } from "node:fs";
import { resolve } from "node:path";

/**
 * Reads certificates of authorities in PEM.
 * @throws Error that names the file and what is wrong with it
 */
export function readCaBundle(path: string, cwd: string): string {
  let text: string;
  try {
    text = readFileSync(resolve(cwd, path), "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const why = code === "ENOENT" ? "there is no such file" : code === "EISDIR" ? "it is a directory" : String(code);
    throw new Error(`the certificates in ${path} cannot be read: ${why}. Name a PEM file`, { cause: error });
  }
  if (!text.includes("-----BEGIN CERTIFICATE-----"))
    throw new Error(`${path} holds no certificate; expected a PEM file with "-----BEGIN CERTIFICATE-----" in it`);
  return text;
}
