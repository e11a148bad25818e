import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { DESCRIPTIONS, describedAs } from "../../src/config/descriptions.ts";
import { configSchema } from "../../src/config/json-schema.ts";
import type { SchemaNode } from "../../src/config/json-schema.ts";
import { loadConfig } from "../../src/config/load.ts";
import { configurationPage } from "../../src/config/reference.ts";
import { parseOptions } from "../../src/cli/options.ts";
import { shellWords } from "../../src/cli/shell-words.ts";
import { clientsPage } from "../../scripts/clients-page.ts";
import { blocksOf, commandsOf, linksOf } from "../support/markdown.ts";
import { root } from "../support/tree.ts";

const PAGES = [
  "README.md",
  "SECURITY.md",
  ...readdirSync(join(root, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
];

/** Of a password nobody has. */
const HASH = "$2b$11$abcdefghijklmnopqrstuuFJi7iFaRgYdrpjIJmmcKDkMWYZQdqgm";

describe("the parts of the manual that are made of the program are current: make manual", () => {
  test("docs/configuration.md", async () => {
    expect(await Bun.file(join(root, "docs/configuration.md")).text()).toBe(configurationPage());
  });
  test("docs/clients.md", async () => {
    expect(await Bun.file(join(root, "docs/clients.md")).text()).toBe(clientsPage());
  });
});

describe("every key of the configuration", () => {
  const paths = new Set<string>();
  const collect = (node: SchemaNode, path: string): void => {
    const at = (name: string): string => (path === "" ? name : `${path}.${name}`);
    for (const [name, child] of Object.entries(node.properties ?? {})) {
      paths.add(describedAs(at(name)));
      collect(child, at(name));
    }
    if (typeof node.additionalProperties === "object") collect(node.additionalProperties, at("*"));
    for (const each of node.anyOf ?? []) collect(each, path);
  };
  collect(configSchema(), "");

  test("is described", () => expect([...paths].filter((path) => DESCRIPTIONS[path] === undefined)).toEqual([]));
  test("and nothing is described that is no key", () => {
    expect(Object.keys(DESCRIPTIONS).filter((path) => !paths.has(path))).toEqual([]);
  });
  test("is in the reference", () => {
    const page = configurationPage();
    const names = [...paths].map((path) => path.split(".").at(-1) ?? "");
    expect(
      names.filter((name) => name !== "*" && !new RegExp(`[\`.]${name.replace("$", "\\$")}[\`.]`).test(page)),
    ).toEqual([]);
  });
});

describe.each(PAGES)("%s", (page) => {
  test("its links lead to files", async () => {
    for (const link of linksOf(page)) {
      const exists = await Bun.file(join(root, dirname(page), link)).exists();
      expect({ link, exists }).toEqual({ link, exists: true });
    }
  });

  test("its configurations load without an error or a warning", async () => {
    for (const { place, language, code } of blocksOf(page)) {
      if (language !== "jsonc") continue;
      const variables = [...code.matchAll(/\$\{(\w+)\}/g)].map(([, name = ""]) => name);
      const env = Object.fromEntries(
        variables.map((name) => [name, /PASSWORD|HASH/.test(name) ? HASH : `${name}-0123456789`]),
      );
      const context = { env: { PATH: "/bin", ...env }, cwd: root, home: "/nowhere", overrides: {}, fetch };
      const { config, problems } = await loadConfig({ kind: "text", text: code, name: place }, context);
      // An example may show a password as it is; the log says what it says here, too.
      const others = problems.filter(({ code }) => code !== "config.plain_password");
      expect([place, others]).toEqual([place, []]);
      expect(config?.servers.size).toBeGreaterThan(0);
    }
  });

  test("its JSON is JSON", () => {
    for (const { place, language, code } of blocksOf(page)) {
      if (language === "json") expect([place, typeof JSON.parse(code)]).toEqual([place, "object"]);
    }
  });

  test("its commands of this program are understood, each flag and word", () => {
    for (const { place, line } of commandsOf(page)) {
      const words = shellWords(line.replace(/^(\w+=\S+ )+/, ""));
      if (!/(^|\/)mcp-proxy$/.test(words[0] ?? "")) continue;
      const { kind } = parseOptions(words.slice(1));
      const wanted = /^[a-z][a-z-]*$/.test(words[1] ?? "") ? (words[1] ?? "") : undefined;
      if (wanted !== undefined) expect([place, line, kind as string]).toEqual([place, line, wanted]);
    }
  });

  test("other programs are those it may speak of", () => {
    const known = new Set(
      "make mcp-proxy claude code codex gemini goose npx curl openssl docker cloudflared ngrok install systemctl sha256sum".split(
        " ",
      ),
    );
    const programs = commandsOf(page).map(
      ({ line }) => line.replace(/^\((cd \S+ && )?|^(\w+=\S+ )+/, "").split(" ")[0] ?? "",
    );
    expect(programs.filter((name) => !known.has(name.replace(/^.*\//, "")))).toEqual([]);
  });

  test("its targets of make exist", async () => {
    const makefile = await Bun.file(join(root, "Makefile")).text();
    const targets = /^\.PHONY: (.*)$/m.exec(makefile)?.[1]?.split(" ") ?? [];
    const used = commandsOf(page).flatMap(({ line }) => /^make (.*)$/.exec(line)?.[1]?.split(" ") ?? []);
    expect(used.filter((word) => !word.includes("=") && !targets.includes(word))).toEqual([]);
  });
});
