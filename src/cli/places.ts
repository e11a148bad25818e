import type { Config } from "../config/config.ts";
import { Document } from "../config/document.ts";
import { printable } from "../telemetry/printable.ts";

/**
 * Finds where servers stand in a configuration.
 * @param text as it was read; undefined where it came from no file
 * @returns `file:line:column` for a server's name, as editors and terminals open it
 */
export function placesOf(config: Config, text: string | undefined): (server: string) => string | undefined {
  let places: ReadonlyMap<string, string> | undefined;
  return (server) => {
    places ??= text === undefined ? new Map() : allPlaces(printable(config.source), text);
    return places.get(server);
  };
}

function allPlaces(source: string, text: string): Map<string, string> {
  const parsed = Document.parse(text);
  if ("errors" in parsed) return new Map();
  const { document } = parsed;
  // The older format has them below "clients".
  const paths = ["clients", "mcpServers"].flatMap((map) => document.keys([map]).map((name) => [map, name] as const));
  return new Map(
    paths.map(([map, name]) => {
      const { line, column } = document.locate([map, name], "key");
      return [name, `${source}:${line}:${column}`];
    }),
  );
}
