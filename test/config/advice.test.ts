import { expect, test } from "bun:test";
import { good, loadText } from "./helpers.ts";

const HASH = "$2b$10$abcdefghijklmnopqrstuuFJi7iFaRgYdrpjIJmmcKDkMWYZQdqgm";

const text = `{
  "mcpProxy": {
    "users": { "carol": { "password": "in the open" }, "dave": { "email": "d@example.com" } },
    "options": { "oauth2": { "enabled": true,
      "users": { "alice": "in the open", "bob": "${HASH}" },
      "allowedIPs": ["34.162.46.92", "34.162.183.95", "10.0.0.0/8"] } } },
  "mcpServers": { "a": { "command": "x" } } }`;

test("plain passwords and addresses that Claude has left are named where they stand, and never repeated", async () => {
  const loaded = await loadText(text);
  good(loaded);
  expect(loaded.problems.map(({ code, line, column, path }) => [code, line, column, path])).toEqual([
    ["config.plain_password", 3, 27, "mcpProxy.users.carol.password"],
    ["config.plain_password", 5, 18, "mcpProxy.options.oauth2.users.alice"],
    ["config.former_address", 6, 21, "mcpProxy.options.oauth2.allowedIPs"],
  ]);
  expect(loaded.problems[2]?.message).toContain("2 addresses that Anthropic no longer uses");
  expect(loaded.problems[2]?.hint).toContain("160.79.104.0/21");
  expect(JSON.stringify(loaded.problems)).not.toContain("in the open");
});

test("what is as it should be is no warning", async () => {
  const oauth2 = { enabled: true, users: { bob: HASH }, allowedIPs: ["claude"] };
  const loaded = await loadText({ mcpProxy: { options: { oauth2 } }, mcpServers: { a: { command: "x" } } });
  expect(loaded.problems).toEqual([]);
});
