import { expect } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";

const MCP_REMOTE = join(import.meta.dir, "../../node_modules/mcp-remote/dist/proxy.js");

/**
 * mcp-remote in front of an endpoint: logs in with the URL alone and calls `echo`.
 * @param visit what a person does with the page; it must end at the address that mcp-remote waits at
 */
export async function useMcpRemote(url: string, visit: (address: string) => Promise<void>): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), "mcp-remote-"));
  // It opens the browser of the desktop; none shall appear here.
  for (const opener of ["xdg-open", "open"]) {
    writeFileSync(join(home, opener), "#!/bin/sh\nexit 0\n");
    chmodSync(join(home, opener), 0o755);
  }
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [MCP_REMOTE, url, "--allow-http", "--transport", "http-only"],
    env: { PATH: `${home}:${process.env["PATH"] ?? ""}`, HOME: home, MCP_REMOTE_CONFIG_DIR: join(home, "auth") },
    stderr: "pipe",
  });
  let said = "";
  const person = Promise.withResolvers<void>();
  let asked = false;
  transport.stderr?.on("data", (chunk: Buffer) => {
    said += chunk.toString();
    const address = /http:\/\/localhost:\d+\/oauth\/authorize\?\S+/.exec(said)?.[0];
    if (address === undefined || asked || !said.slice(said.indexOf(address) + address.length).includes("\n")) return;
    asked = true;
    visit(address).then(person.resolve, person.reject);
  });
  const client = new Client({ name: "t", version: "1" });
  try {
    await Promise.all([client.connect(transport), person.promise]);
    expect(await client.callTool({ name: "echo", arguments: { text: "through mcp-remote" } })).toMatchObject({
      content: [{ text: "through mcp-remote" }],
    });
  } catch (error) {
    throw new Error(`${String(error)}\n${said}`, { cause: error });
  } finally {
    await client.close();
    rmSync(home, { recursive: true, force: true });
  }
}
