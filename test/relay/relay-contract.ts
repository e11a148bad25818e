import { afterAll, afterEach, beforeAll, describe } from "bun:test";
import { RelayHttp } from "../fixtures/relay-http.ts";
import { RelaySse } from "../fixtures/relay-sse.ts";
import { RelayServer } from "../fixtures/relay-server.ts";
import type { Peer } from "../fixtures/relay-server.ts";
import { RelayStdio } from "../fixtures/relay-stdio.ts";
import { startProxy } from "../support/proxy.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { RawClient } from "./raw-client.ts";
import type { Inbox, RawClientOptions } from "./raw-client.ts";

/** The ways a server can stand behind the proxy. */
export type Transport = "stdio" | "http" | "sse";
/** The ways a client can stand before it. */
export type ClientTransport = "http" | "sse";

export interface Subject {
  readonly transport: Transport;
  readonly front: ClientTransport;
  readonly server: RelayServer;
  /** Endpoint at the proxy. */
  readonly url: string;
  readonly proxy: RunningProxy;
  readonly client: (options?: RawClientOptions) => Promise<RawClient>;
}

export interface ContractOptions {
  /** Joined to the server's entry in the configuration. */
  readonly entry?: Record<string, unknown>;
  readonly mcpProxy?: Record<string, unknown>;
  /** For what only some clients can see. */
  readonly fronts?: readonly ClientTransport[];
  /** Before the proxy starts. */
  readonly prepare?: (server: RelayServer) => void;
}

/** A client with an open stream, and the server's end of its link. */
export interface Listening {
  readonly raw: RawClient;
  readonly stream: Inbox;
  readonly peer: Peer;
}

export async function listeningAt(subject: Subject): Promise<Listening> {
  const raw = await subject.client();
  const stream = await raw.listen();
  const found = raw.call("find-peer");
  const call = await subject.server.call("find-peer");
  call.result("{}");
  await found.answer();
  return { raw, stream, peer: call.peer };
}

const ENDS = {
  stdio: (server: RelayServer) => new RelayStdio(server),
  http: (server: RelayServer) => new RelayHttp(server),
  sse: (server: RelayServer) => new RelaySse(server),
} as const;

/**
 * One suite, run against every pair of transports with the same mind behind all.
 * @param body declares the tests; the subject is there when they run
 */
export function overBoth(what: string, body: (subject: () => Subject) => void, options: ContractOptions = {}): void {
  const names = ["stdio", "http", "sse"] as const;
  const fronts = ["http", "sse"] as const;
  for (const { transport, front } of names.flatMap((transport) => fronts.map((front) => ({ transport, front })))) {
    if (options.fronts !== undefined && !options.fronts.includes(front)) continue;
    describe(`${what}, client over ${front}, server over ${transport}`, () => {
      let subject: Subject | undefined;
      let clean = new AsyncDisposableStack();
      const clients: RawClient[] = [];

      beforeAll(async () => {
        clean = new AsyncDisposableStack();
        const server = new RelayServer();
        options.prepare?.(server);
        const end = clean.use(ENDS[transport](server));
        const entries = { it: { ...end.entry, ...options.entry } };
        const proxy = await startProxy(entries, options.mcpProxy === undefined ? {} : { mcpProxy: options.mcpProxy });
        clean.use(proxy);
        const url = `${proxy.url}/it/${front === "sse" ? "sse" : "mcp"}`;
        const client = async (extra?: RawClientOptions): Promise<RawClient> => {
          const made = await RawClient.open(url, extra);
          clients.push(made);
          return made;
        };
        subject = { transport, front, server, url, proxy, client };
      });

      // What a failed test left open must not fail the next one.
      afterEach(async () => {
        await Promise.all(clients.splice(0).map((client) => client.end()));
      });

      afterAll(() => clean.disposeAsync());

      body(() => {
        if (subject === undefined) throw new Error("the proxy has not been started");
        return subject;
      });
    });
  }
}

/** The suites that look at the answer of each POST by itself, which HTTP+SSE does not have. */
export function overHttpClients(what: string, body: (subject: () => Subject) => void): void {
  overBoth(what, body, { fronts: ["http"] });
}
