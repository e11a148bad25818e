import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readKeysFile, readUsersFile } from "../../src/config/access-files.ts";
import { loadConfig } from "../../src/config/load.ts";
import { root } from "../support/tree.ts";

const page = await Bun.file(join(root, "docs/permissions.md")).text();
const blocks = (language: string): string[] =>
  [...page.matchAll(/^```(\w+)\n([^]*?)^```$/gm)]
    .filter(([, found]) => found === language)
    .map(([, , code = ""]) => code);

test("each configuration of the page loads without an error or a warning", async () => {
  expect(blocks("jsonc")).toHaveLength(2);
  for (const text of blocks("jsonc")) {
    const context = { env: { PATH: "/bin" }, cwd: root, home: "/nowhere", overrides: {}, fetch };
    const { config, problems } = await loadConfig({ kind: "text", text, name: "permissions.md" }, context);
    expect(problems).toEqual([]);
    expect(config?.users.has("alice")).toBeTrue();
  }
});

test("the files of the page are what is read", () => {
  const directory = mkdtempSync(join(tmpdir(), "mcp-proxy-page-"));
  const file = join(directory, "file.json");
  const [users = "", keys = "", line = ""] = blocks("json");
  writeFileSync(file, users);
  const read = readUsersFile(file);
  expect(read.problems).toEqual([]);
  expect(read.entries?.get("alice@example.com")).toMatchObject({ roles: ["admin"], deniedTools: ["github:delete_*"] });
  writeFileSync(file, keys);
  const listen = { kind: "tcp", host: "127.0.0.1", port: 0 } as const;
  expect(readKeysFile(file, { oauth: undefined, listen })).toMatchObject({ problems: [], entries: { size: 2 } });
  expect(Object.keys(JSON.parse(line))).toEqual([
    "time",
    "user",
    "client",
    "caller",
    "endpoint",
    "server",
    "tool",
    "outcome",
    "duration",
  ]);
  rmSync(directory, { recursive: true });
});
