import { afterAll, afterEach, beforeAll, describe } from "bun:test";
import { RelayHttp } from "../fixtures/relay-http.ts";
import { RelayServer } from "../fixtures/relay-server.ts";
import { RelayStdio } from "../fixtures/relay-stdio.ts";
import { startProxy } from "../support/proxy.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { RawClient } from "./raw-client.ts";
import type { RawClientOptions } from "./raw-client.ts";

/** Both ways a server can stand behind the proxy. */
export type Transport = "stdio" | "http";

export interface Subject {
  readonly transport: Transport;
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
  /** Before the proxy starts. */
  readonly prepare?: (server: RelayServer) => void;
}

/**
 * One suite, run against a child process and against Streamable HTTP with the same mind behind both.
 * @param body declares the tests; the subject is there when they run
 */
export function overBoth(what: string, body: (subject: () => Subject) => void, options: ContractOptions = {}): void {
  const names = ["stdio", "http"] as const;
  for (const transport of names) {
    describe(`${what}, over ${transport}`, () => {
      let subject: Subject | undefined;
      let clean = new AsyncDisposableStack();
      const clients: RawClient[] = [];

      beforeAll(async () => {
        clean = new AsyncDisposableStack();
        const server = new RelayServer();
        options.prepare?.(server);
        const end = clean.use(transport === "stdio" ? new RelayStdio(server) : new RelayHttp(server));
        const entries = { it: { ...end.entry, ...options.entry } };
        const proxy = await startProxy(entries, options.mcpProxy === undefined ? {} : { mcpProxy: options.mcpProxy });
        clean.use(proxy);
        const url = `${proxy.url}/it/mcp`;
        const client = async (extra?: RawClientOptions): Promise<RawClient> => {
          const made = await RawClient.open(url, extra);
          clients.push(made);
          return made;
        };
        subject = { transport, server, url, proxy, client };
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
