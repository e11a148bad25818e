import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RunningProxy } from "../support/proxy.ts";
import {
  authorizeUrl,
  callStatus,
  client,
  logIn,
  obtainCode,
  openPage,
  pkce,
  post,
  redeem,
  refresh,
  startLogin,
  submit,
} from "./login.ts";
import type { Tokens } from "./login.ts";

async function inDirectory(run: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "mcp-proxy-login-"));
  try {
    await run(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const pair = async (proxy: RunningProxy, tokens: Tokens): Promise<Tokens> => ({
  ...((await (await refresh(proxy.url, tokens)).json()) as Tokens),
  clientId: tokens.clientId,
});

test("35: kill -9 loses no client and no token, revives none, and the rules go on where they were", async () => {
  await inDirectory(async (directory) => {
    let first = await startLogin({}, { directory });
    const kept = await logIn(first.url);
    const revoked = await logIn(first.url);
    const { client_id } = await client(first.url);
    const code = await obtainCode(first.url, client_id);
    const spent = await obtainCode(first.url, client_id);
    expect((await redeem(first.url, spent)).status).toBe(200);
    await post(first.url, "/oauth/revoke", { token: revoked.refresh_token, client_id: revoked.clientId });
    const next = await pair(first, kept);
    const unseen = await logIn(first.url);
    await pair(first, unseen);
    await first.stop("SIGKILL");
    first = await startLogin({}, { directory, port: first.port });
    await using second = first;
    for (const tokens of [kept, next, unseen])
      expect(await callStatus(`${second.url}/a/mcp`, tokens.access_token)).toBe(200);
    expect(await callStatus(`${second.url}/a/mcp`, revoked.access_token)).toBe(401);
    expect((await refresh(second.url, revoked)).status).toBe(400);
    expect((await redeem(second.url, code)).status).toBe(200);
    expect((await redeem(second.url, spent)).status).toBe(400);
    // Its successor was never used, so the client may not have got it.
    expect((await refresh(second.url, unseen)).status).toBe(200);
    expect((await refresh(second.url, next)).status).toBe(200);
  });
});

test("state is closed to others, and nothing in it is a secret", async () => {
  await inDirectory(async (directory) => {
    const proxy = await startLogin({}, { directory });
    const withSecret = await client(proxy.url, { token_endpoint_auth_method: "client_secret_post" });
    const tokens = await logIn(proxy.url);
    const code = await obtainCode(proxy.url, tokens.clientId);
    const state = join(directory, "state");
    expect(statSync(state).mode & 0o777).toBe(0o700);
    const all: Buffer[] = [];
    for (const name of readdirSync(state)) {
      expect([name, statSync(join(state, name)).mode & 0o777]).toEqual([name, 0o600]);
      all.push(readFileSync(join(state, name)));
    }
    const text = Buffer.concat(all).toString("latin1");
    expect(text).toContain(tokens.clientId);
    for (const secret of [
      tokens.access_token,
      tokens.refresh_token,
      code.code,
      withSecret.client_secret ?? "",
      "correct horse",
    ])
      expect(text).not.toContain(secret);
    await proxy.stop();
  });
});

test("36: a user that was removed, or has another password, is out", async () => {
  await inDirectory(async (directory) => {
    const users = { alice: "correct horse", bob: "x" };
    const first = await startLogin({ users }, { directory });
    const tokens = await logIn(first.url);
    await first.stop();
    const same = await startLogin({ users }, { directory });
    expect(await callStatus(`${same.url}/a/mcp`, tokens.access_token)).toBe(200);
    await same.stop();
    const changed = await startLogin({ users: { ...users, alice: "battery staple" } }, { directory });
    expect(await callStatus(`${changed.url}/a/mcp`, tokens.access_token)).toBe(401);
    await changed.stop();
    const back = await startLogin({ users }, { directory });
    expect(await callStatus(`${back.url}/a/mcp`, tokens.access_token)).toBe(401);
    await back.stop();
  });
});

test("36: a reload of the configuration ends them at once, with their open streams, and nobody else's", async () => {
  await inDirectory(async (directory) => {
    await using proxy = await startLogin({ users: { alice: "correct horse", bob: "correct horse" } }, { directory });
    const alice = await logIn(proxy.url);
    const page = await openPage(
      authorizeUrl(proxy.url, { client_id: alice.clientId, code_challenge: pkce().challenge }),
    );
    expect((await submit(proxy.url, page, { username: "bob" })).status).toBe(200);
    const carol = await logIn(proxy.url);
    const start = await fetch(`${proxy.url}/a/mcp`, {
      method: "POST",
      headers: {
        Authorization: `Bearer ${alice.access_token}`,
        "Content-Type": "application/json",
        Accept: "application/json, text/event-stream",
      },
      body: JSON.stringify({
        jsonrpc: "2.0",
        id: 0,
        method: "initialize",
        params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "t", version: "1" } },
      }),
    });
    const stream = await fetch(`${proxy.url}/a/mcp`, {
      headers: {
        Authorization: `Bearer ${alice.access_token}`,
        Accept: "text/event-stream",
        "Mcp-Session-Id": start.headers.get("mcp-session-id") ?? "",
      },
    });
    const ended = stream.text();
    const file = join(directory, "config.json");
    writeFileSync(file, readFileSync(file, "utf8").replace('"alice":"correct horse"', '"alice":"another one"'));
    proxy.process.kill("SIGHUP");
    await ended;
    expect(await callStatus(`${proxy.url}/a/mcp`, alice.access_token)).toBe(401);
    expect(await callStatus(`${proxy.url}/a/mcp`, carol.access_token)).toBe(401);
    const fresh = await openPage(
      authorizeUrl(proxy.url, { client_id: alice.clientId, code_challenge: pkce().challenge }),
    );
    expect((await submit(proxy.url, fresh, { username: "bob" })).status).toBe(200);
    expect((await submit(proxy.url, fresh, { username: "alice" })).status).toBe(401);
    expect((await submit(proxy.url, fresh, { username: "alice", password: "another one" })).status).toBe(200);
  });
});

test("43: a second process on the same state ends with 1 and names the directory", async () => {
  await inDirectory(async (directory) => {
    await using _first = await startLogin({}, { directory });
    const second = await startLogin({}, { directory }).catch((error: unknown) => String(error));
    expect(second).toContain("ended with 1");
    expect(second).toContain(join(directory, "state"));
  });
});

test("43: damaged state is put aside and reported, and a new one made", async () => {
  await inDirectory(async (directory) => {
    const first = await startLogin({}, { directory });
    await logIn(first.url);
    await first.stop();
    const file = join(directory, "state", "state.db");
    writeFileSync(file, Buffer.concat([Buffer.from("garbage".repeat(20)), readFileSync(file).subarray(140)]));
    await using second = await startLogin({}, { directory });
    expect(readdirSync(join(directory, "state")).filter((name) => name.startsWith("state.db.damaged-"))).toHaveLength(
      1,
    );
    expect(
      second.log.some((line) => line["level"] === "error" && String(line["file"]).includes("state.db.damaged-")),
    ).toBeTrue();
    await logIn(second.url);
  });
});

test("the state of the Go program is taken over once, secrets hashed, the file untouched", async () => {
  await inDirectory(async (directory) => {
    const state = join(directory, "state");
    mkdirSync(state);
    const soon = new Date(Date.now() + 3_600_000).toISOString();
    const past = new Date(Date.now() - 1_000).toISOString();
    const content = JSON.stringify({
      clients: {
        "go-client": {
          client_id: "go-client",
          client_secret: "go-secret",
          redirect_uris: ["http://localhost:7777/callback"],
          grant_types: ["authorization_code"],
          client_id_issued_at: past,
          client_name: "Claude",
        },
      },
      accessTokens: {
        "go-access": {
          Token: "go-access",
          RefreshToken: "go-refresh",
          ClientID: "go-client",
          Scope: "mcp",
          Resource: "",
          ExpiresAt: soon,
        },
        "go-old": {
          Token: "go-old",
          RefreshToken: "go-old-refresh",
          ClientID: "go-client",
          Scope: "",
          ExpiresAt: past,
        },
      },
      savedAt: past,
    });
    const file = join(state, "oauth_clients.json");
    writeFileSync(file, content);
    const first = await startLogin({}, { directory });
    expect(await callStatus(`${first.url}/a/mcp`, "go-access")).toBe(200);
    expect(await callStatus(`${first.url}/a/mcp`, "go-old")).toBe(401);
    const secret = { client_id: "go-client", client_secret: "go-secret" };
    const answer = await post(first.url, "/oauth/token", {
      grant_type: "refresh_token",
      refresh_token: "go-old-refresh",
      ...secret,
    });
    expect(answer.status).toBe(200);
    expect(
      (await openPage(authorizeUrl(first.url, { client_id: "go-client", code_challenge: pkce().challenge }))).html,
    ).toContain("Claude");
    expect(readFileSync(file, "utf8")).toBe(content);
    await first.stop();
    const database = new Database(join(state, "state.db"), { readonly: true });
    const stored = JSON.stringify(database.query("SELECT * FROM state").all());
    database.close();
    for (const text of ["go-secret", "go-access", "go-refresh", "go-old-refresh"])
      expect(stored).not.toContain(`"${text}`);
    writeFileSync(file, "{}");
    await using second = await startLogin({}, { directory });
    expect(await callStatus(`${second.url}/a/mcp`, "go-access")).toBe(200);
  });
});

test("an older form of that file, clients alone, and a broken one", async () => {
  await inDirectory(async (directory) => {
    const state = join(directory, "state");
    mkdirSync(state);
    writeFileSync(
      join(state, "oauth_clients.json"),
      JSON.stringify({ old: { client_id: "old", redirect_uris: ["http://localhost:7777/callback"] } }),
    );
    const first = await startLogin({}, { directory });
    await logIn(first.url, {}, "old");
    await first.stop();
    rmSync(state, { recursive: true });
    mkdirSync(state);
    writeFileSync(join(state, "oauth_clients.json"), "{ broken");
    await using second = await startLogin({}, { directory });
    expect(second.log.some((line) => String(line["msg"]).includes("could not be taken over"))).toBeTrue();
  });
});

test("kill -9 under load: every acknowledged token lives, every revoked one is dead", async () => {
  await inDirectory(async (directory) => {
    const first = await startLogin({ registrationsPerMinute: 0 }, { directory });
    const live: Tokens[] = [];
    const dead: Tokens[] = [];
    const worker = async (): Promise<void> => {
      for (;;) {
        const tokens = await logIn(first.url);
        live.push(tokens);
        const other = await logIn(first.url);
        await post(first.url, "/oauth/revoke", { token: other.refresh_token, client_id: other.clientId });
        dead.push(other);
        if (live.length > 24) return first.process.kill("SIGKILL");
      }
    };
    await Promise.allSettled(Array.from({ length: 6 }, worker));
    await first.process.exited;
    cpSync(join(directory, "state"), join(directory, "copy"), { recursive: true });
    await using second = await startLogin({}, { directory });
    expect(live.length).toBeGreaterThan(20);
    for (const tokens of live) expect(await callStatus(`${second.url}/a/mcp`, tokens.access_token)).toBe(200);
    for (const tokens of dead) expect(await callStatus(`${second.url}/a/mcp`, tokens.access_token)).toBe(401);
  });
});
