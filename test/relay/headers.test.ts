import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { RelayHttp } from "../fixtures/relay-http.ts";
import { RelayServer } from "../fixtures/relay-server.ts";
import { RelayStdio } from "../fixtures/relay-stdio.ts";
import { startProxy } from "../support/proxy.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { RawClient } from "./raw-client.ts";

const TOKEN = "caller-credential-0123456789";

/** Headers of a client that means to say a lot. */
const CHATTY = {
  authorization: `Bearer ${TOKEN}`,
  cookie: "session=client-cookie",
  "x-tenant": "client-tenant",
  "x-named": "client-named",
  "x-api-key": "client-api-key",
  "x-forwarded-for": "192.0.2.77",
  forwarded: "for=192.0.2.77",
  "proxy-authorization": "Basic client-proxy",
  "last-event-id": "client-event",
  "mcp-param-x": "client-param",
  "user-agent": "client-agent",
  referer: "http://localhost/client-referer",
  traceparent: "00-client-trace",
};

describe("headers of clients", () => {
  const servers = {
    plain: new RelayServer(),
    forwarding: new RelayServer(),
    keyed: new RelayServer(),
    open: new RelayServer(),
  };
  const clean = new AsyncDisposableStack();
  let proxy: RunningProxy;
  let plain: RelayHttp;
  let forwarding: RelayHttp;
  let open: RelayHttp;

  beforeAll(async () => {
    plain = clean.use(new RelayHttp(servers.plain));
    forwarding = clean.use(new RelayHttp(servers.forwarding));
    open = clean.use(new RelayHttp(servers.open));
    const keyed = clean.use(new RelayStdio(servers.keyed));
    const options = { authTokens: [TOKEN, "second-credential-0123456789"] };
    proxy = clean.use(
      await startProxy({
        plain: { ...plain.entry, headers: { Authorization: "Bearer upstream-own", "X-Static": "configured" }, options },
        forwarding: { ...forwarding.entry, forwardHeaders: ["X-Named", "Authorization", "Cookie"], options },
        open: { ...open.entry, forwardHeaders: ["Authorization", "X-Named"] },
        keyed: {
          ...keyed.entry,
          headerToEnv: { "X-Named": "NAMED", Authorization: "CALLER" },
          env: { NAMED: "from-file" },
          options,
        },
      }),
    );
  });
  afterAll(() => clean.disposeAsync());

  const client = (name: string, headers: Record<string, string> = CHATTY): Promise<RawClient> =>
    RawClient.open(`${proxy.url}/${name}/mcp`, { headers });
  const everything = (upstream: RelayHttp): string =>
    upstream.seen.map(({ method, headers }) => `${method} ${JSON.stringify([...headers])}`).join("\n");

  test("none reaches an HTTP server by itself, whatever the request", async () => {
    const raw = await client("plain");
    const stream = await raw.listen();
    await raw.call("echo").answer();
    await raw.notify("notifications/acme/x");
    await raw.request("resources/subscribe", '{"uri":"a://x"}').answer();
    await servers.plain.notification("notifications/acme/x");
    expect(await raw.end()).toBeLessThan(300);
    await stream.ended();
    const sent = everything(plain);
    expect(sent).not.toMatch(/client-|192\.0\.2\.77/);
    expect(sent).not.toContain(TOKEN);
    expect(sent).not.toContain(raw.session);
    for (const { headers } of plain.seen) {
      expect(headers.get("authorization")).toBe("Bearer upstream-own");
      expect(headers.get("x-static")).toBe("configured");
    }
  });

  test("forwardHeaders carries the named ones and no other, never the credential that let the caller in", async () => {
    const raw = await client("forwarding");
    await raw.call("echo").answer();
    const called = forwarding.seen.filter(({ body }) => body.includes("tools/call"));
    expect(called.map(({ headers }) => [headers.get("x-named"), headers.get("cookie")])).toEqual([
      ["client-named", "session=client-cookie"],
    ]);
    const sent = everything(forwarding);
    expect(sent).not.toContain(TOKEN);
    for (const word of [
      "client-tenant",
      "client-api-key",
      "192.0.2.77",
      "client-event",
      "client-agent",
      "client-trace",
    ]) {
      expect(sent).not.toContain(word);
    }
  });

  test("on an open endpoint Authorization is nobody's credential here and travels where it is named", async () => {
    const raw = await client("open", { authorization: "Bearer for-the-server" });
    await raw.call("echo").answer();
    const call = open.seen.find(({ body }) => body.includes("tools/call"));
    expect(call?.headers.get("authorization")).toBe("Bearer for-the-server");
  });

  test("another value between two requests means another link to an HTTP server", async () => {
    const raw = await client("open", { "x-named": "one" });
    const first = raw.call("which");
    const one = await servers.open.call("which");
    one.result("{}");
    await first.answer();
    raw.headers = { "x-named": "two" };
    const second = raw.call("which");
    const two = await servers.open.call("which");
    two.result("{}");
    await second.answer();
    expect([one.headers?.get("x-named"), two.headers?.get("x-named")]).toEqual(["one", "two"]);
    expect(two.peer).not.toBe(one.peer);
  });

  test("headerToEnv makes a child whose environment has the header's value, and another child for another value", async () => {
    const raw = await client("keyed", { ...CHATTY, "x-named": "value-a" });
    const calls = [];
    for (const value of ["value-a", "value-b", "value-a"]) {
      raw.headers = { ...CHATTY, "x-named": value };
      const inbox = raw.call("which");
      const call = await servers.keyed.call("which");
      call.result("{}");
      await inbox.answer();
      calls.push(call);
    }
    expect(calls.map(({ peer }) => peer.env["NAMED"])).toEqual(["value-a", "value-b", "value-a"]);
    expect(calls[0]?.peer).not.toBe(calls[1]?.peer as never);
    expect(JSON.stringify(servers.keyed.peers.map(({ env }) => env))).not.toContain(TOKEN);
  });

  test("two callers with different values never share a child, with equal values and tokens they may", async () => {
    const [one, two] = [
      await client("keyed", { ...CHATTY, "x-named": "mine" }),
      await client("keyed", { ...CHATTY, "x-named": "yours" }),
    ];
    const inboxes = [one.call("own"), two.call("own")];
    const calls = [await servers.keyed.call("own"), await servers.keyed.call("own")];
    for (const call of calls) call.result("{}");
    await Promise.all(inboxes.map((inbox) => inbox.answer()));
    expect(new Set(calls.map(({ peer }) => peer)).size).toBe(2);
    expect(new Set(calls.map(({ peer }) => peer.env["NAMED"]))).toEqual(new Set(["mine", "yours"]));
  });

  test("without the header the child has what the configuration says", async () => {
    const raw = await client("keyed", { authorization: `Bearer ${TOKEN}` });
    const inbox = raw.call("plain-env");
    const call = await servers.keyed.call("plain-env");
    call.result("{}");
    await inbox.answer();
    expect(call.peer.env["NAMED"]).toBe("from-file");
    expect(call.peer.env["CALLER"]).toBeUndefined();
  });

  test("a header's value is not written into the log", () => {
    const log = JSON.stringify(proxy.log);
    for (const secret of [TOKEN, "value-b", "for-the-server", "client-cookie"]) expect(log).not.toContain(secret);
  });
});
