import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { RelayHttp } from "../fixtures/relay-http.ts";
import { RelayServer } from "../fixtures/relay-server.ts";
import type { Call } from "../fixtures/relay-server.ts";
import { RelayStdio } from "../fixtures/relay-stdio.ts";
import { startProxy } from "../support/proxy.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { RawClient } from "./raw-client.ts";

const TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const OTHER = "00-11111111111111111111111111111111-2222222222222222-00";
const STATE = "vendor=a:1,other=b";

describe("traces", () => {
  const servers = { http: new RelayServer(), stdio: new RelayServer() };
  const clean = new AsyncDisposableStack();
  let proxy: RunningProxy;

  beforeAll(async () => {
    const http = clean.use(new RelayHttp(servers.http));
    const stdio = clean.use(new RelayStdio(servers.stdio));
    proxy = clean.use(await startProxy({ http: http.entry, stdio: stdio.entry }));
  });
  afterAll(() => clean.disposeAsync());

  /** What a server gets of a call that comes with these headers and this `_meta`. */
  async function called(
    name: "http" | "stdio",
    headers: Record<string, string>,
    meta?: Record<string, unknown>,
  ): Promise<Call> {
    const client = await RawClient.open(`${proxy.url}/${name}/mcp`, {});
    client.headers = headers;
    const params = { name: "which", arguments: { big: 1 }, ...(meta === undefined ? {} : { _meta: meta }) };
    const inbox = client.request("tools/call", JSON.stringify(params));
    const call = await servers[name].call("which");
    call.result("{}");
    await inbox.answer();
    return call;
  }

  test("a trace in headers reaches an HTTP server in headers and in _meta", async () => {
    const call = await called("http", { traceparent: TRACE, tracestate: STATE });
    expect(call.headers?.get("traceparent")).toBe(TRACE);
    expect(call.headers?.get("tracestate")).toBe(STATE);
    expect(call.message.params?._meta).toEqual({ traceparent: TRACE, tracestate: STATE });
    expect(call.message.params?.["arguments"]).toEqual({ big: 1 });
  });

  test("… and a child in _meta, beside what stands there", async () => {
    const call = await called("stdio", { traceparent: TRACE }, { "acme/x": 1 });
    expect(call.message.params?._meta).toEqual({ "acme/x": 1, traceparent: TRACE });
  });

  test("a trace in _meta is repeated in headers, and counts before that of the HTTP request", async () => {
    const meta = { traceparent: OTHER, baggage: "user=1" };
    const call = await called("http", { traceparent: TRACE, tracestate: STATE, baggage: "secret=1" }, meta);
    expect(call.headers?.get("traceparent")).toBe(OTHER);
    expect(call.headers?.get("baggage")).toBe("user=1");
    expect(call.headers?.get("tracestate")).toBeNull();
    expect(call.message.params?._meta).toEqual(meta);
  });

  test("baggage in a header was meant for the proxy, and goes no further", async () => {
    const call = await called("http", { traceparent: TRACE, baggage: "secret=1" });
    expect(call.headers?.get("baggage")).toBeNull();
    expect(call.text).not.toContain("secret=1");
  });

  test.each([
    "00-client-trace",
    "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "00-00000000000000000000000000000000-b7ad6b7169203331-01",
    "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
    "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
    `${TRACE}-more`,
  ])("what is no trace stays here: %s", async (traceparent) => {
    const call = await called("http", { traceparent, tracestate: STATE });
    expect(call.headers?.get("traceparent")).toBeNull();
    expect(call.headers?.get("tracestate")).toBeNull();
    expect(call.message.params?._meta).toBeUndefined();
  });

  test("no text of _meta can make another header", async () => {
    const forged = `${TRACE}\r\nX-Forged: 1`;
    const call = await called("http", {}, { traceparent: forged });
    expect(call.headers?.get("traceparent")).toBeNull();
    const state = await called("http", {}, { traceparent: TRACE, tracestate: "a=b\r\nX-Forged: 1", baggage: "é\n" });
    expect(state.headers?.get("traceparent")).toBe(TRACE);
    for (const name of ["tracestate", "baggage", "x-forged"]) expect(state.headers?.get(name)).toBeNull();
    // As data it passes like everything else in _meta.
    expect(call.message.params?._meta).toEqual({ traceparent: forged });
  });

  test("a request without a trace is not touched", async () => {
    const call = await called("http", { tracestate: STATE, baggage: "a=b" });
    expect(call.message.params).toEqual({ name: "which", arguments: { big: 1 } });
    expect(call.headers?.get("tracestate")).toBeNull();
  });
});
