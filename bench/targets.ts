import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

import { type Destination, TOKEN } from "./client.ts";
import { PEER_NAMES, type Peer, type PeerName } from "./peers.ts";
import { type Child, commandFor, type Processes } from "./processes.ts";

/** The references, and the proxy that is held against them. */
export const OWN_NAMES = ["echo", "minimal", "ours"] as const;
export const TARGET_NAMES = [...OWN_NAMES, ...PEER_NAMES] as const;
export type TargetName = (typeof TARGET_NAMES)[number];

export function isPeer(name: TargetName): name is PeerName {
  return (PEER_NAMES as readonly string[]).includes(name);
}

/** A running server that load can be sent to. */
export interface Target {
  name: TargetName;
  pid: number;
  destination: Destination;
  /** From the start of the process to its first answer. */
  startMs: number;
  stop: () => Promise<void>;
}

export interface TargetOptions {
  /** The program to measure: a binary, or the TypeScript file it is built from. */
  proxy: string;
  /** false: the proxy serves nothing, as for its start and its memory at rest. */
  upstream: boolean;
  /** What the measured servers of MCP are, beside the child with its four tools. */
  servers?: Record<string, { command: string; args: string[]; env?: Record<string, string> }>;
  /** `mcpProxy.options`, beside the static token. */
  access?: Record<string, unknown>;
  peers?: readonly Peer[];
}

const here = import.meta.dir;
export const CHILD = join(here, "child.ts");
/** Some peers take that long on a busy machine. */
const READY_DEADLINE_MS = 45_000;

/** Starts one of them and waits until it answers. @throws Error with the end of its stderr when it does not. */
export function startTarget(processes: Processes, name: TargetName, options: TargetOptions): Promise<Target> {
  switch (name) {
    case "echo":
      return startReference(processes, name, [process.execPath, join(here, "echo.ts")]);
    case "minimal":
      return startReference(processes, name, [process.execPath, join(here, "minimal-relay.ts"), CHILD]);
    case "ours":
      return startProxy(processes, options);
    default:
      return startPeer(processes, name, options);
  }
}

async function startPeer(processes: Processes, name: PeerName, { peers = [] }: TargetOptions): Promise<Target> {
  const peer = peers.find((each) => each.name === name);
  if (peer === undefined) throw new Error(`${name} is not installed`);
  const port = freePort();
  const destination = { port, path: peer.path, session: true };
  return await startAtHome(processes, name, destination, {
    command: (home) => peer.command(port, [process.execPath, CHILD], home),
    // They have no page for health in common; whatever they answer, they are there.
    starts: (child) => answers(child, port, peer.path, 5, "HTTP/1.1 "),
  });
}

async function startProxy(processes: Processes, options: TargetOptions): Promise<Target> {
  const command = commandFor(resolve(options.proxy));
  const port = freePort();
  return await startAtHome(
    processes,
    "ours",
    { port, path: "/bench/mcp", session: true },
    {
      command: (home) => {
        const config = join(home, "config.json");
        writeFileSync(config, JSON.stringify(configuration(port, options)));
        return [...command, "--config", config];
      },
      starts: (child) => answers(child, port, "/livez", 1),
      ready: async (child) => {
        if (options.upstream) await answers(child, port, "/readyz", 20);
      },
    },
  );
}

interface Start {
  readonly command: (home: string) => string[];
  /** Resolves at its first answer, up to which its start counts. */
  readonly starts: (child: Child) => Promise<void>;
  /** Resolves when load can be sent. */
  readonly ready?: (child: Child) => Promise<void>;
}

/** Starts a program in a home of its own: some keep their keys there, and a benchmark must not touch the user's. */
async function startAtHome(
  processes: Processes,
  name: TargetName,
  destination: Destination,
  { command, starts, ready }: Start,
): Promise<Target> {
  const home = processes.folder();
  const line = command(home);
  const began = performance.now();
  const child = processes.start(line, {
    cwd: home,
    env: { HOME: home, PATH: process.env["PATH"] ?? "" },
    keepStderr: true,
  });
  const output = Promise.all([lastText(child.stdout), lastText(child.stderr)]);
  const stop = async (): Promise<void> => {
    await processes.stop(child);
    processes.remove(home);
  };
  try {
    await starts(child);
    const startMs = performance.now() - began;
    await ready?.(child);
    return { name, pid: child.pid, destination, startMs, stop };
  } catch (error) {
    await stop();
    throw new Error(`${(error as Error).message}\n${(await output).join("\n")}`, { cause: error });
  }
}

async function startReference(processes: Processes, name: TargetName, command: string[]): Promise<Target> {
  const began = performance.now();
  const child = processes.start(command);
  const port = Number(await firstLine(child));
  await answers(child, port, "/livez", 1);
  const startMs = performance.now() - began;
  const destination = { port, path: "/", session: false };
  return { name, pid: child.pid, destination, startMs, stop: () => processes.stop(child) };
}

function configuration(port: number, { upstream, servers, access }: TargetOptions): unknown {
  const bench = {
    command: process.execPath,
    args: [CHILD],
    options: { toolFilter: { mode: "block", list: ["nothing"] } },
  };
  return {
    mcpProxy: {
      name: "bench",
      version: "1.0.0",
      addr: `127.0.0.1:${port}`,
      options: { authTokens: [TOKEN], ...access },
    },
    mcpServers: upstream ? { bench, ...servers } : {},
  };
}

function freePort(): number {
  const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = probe;
  probe.stop(true);
  return port;
}

/** Asks until the answer begins as wanted, a new connection each time and `pauseMs` between. */
async function answers(
  child: Child,
  port: number,
  path: string,
  pauseMs: number,
  wanted = "HTTP/1.1 200",
): Promise<void> {
  const deadline = performance.now() + READY_DEADLINE_MS;
  let last = "nothing listened";
  while (performance.now() < deadline) {
    if (child.exitCode !== null) throw new Error(`it ended with code ${child.exitCode} before it answered ${path}`);
    try {
      last = await ask(port, path);
      if (last.startsWith(wanted)) return;
    } catch (error) {
      last = (error as Error).message;
    }
    await Bun.sleep(pauseMs);
  }
  throw new Error(`no 200 from ${path} within ${READY_DEADLINE_MS / 1000} s, last: ${last.slice(0, 200)}`);
}

/** One request on a connection of its own; `fetch` would cost as much as what is measured at a start. */
function ask(port: number, path: string): Promise<string> {
  const { promise, resolve: done, reject } = Promise.withResolvers<string>();
  Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      open: (socket) => void socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`),
      data: (socket, data) => {
        done(data.toString("latin1"));
        socket.end();
      },
      close: () => reject(new Error("closed without an answer")),
      connectError: (_socket, error) => reject(error),
    },
  }).catch(reject);
  return promise;
}

async function firstLine(child: Child): Promise<string> {
  let text = "";
  for await (const chunk of child.stdout) {
    text += new TextDecoder().decode(chunk);
    if (text.includes("\n")) return text;
  }
  throw new Error("it ended before it said its port");
}

/** Reads a stream to its end and keeps the last 2,000 characters. */
async function lastText(stream: ReadableStream<Uint8Array> | undefined): Promise<string> {
  let text = "";
  if (stream === undefined) return text;
  const decoder = new TextDecoder();
  for await (const chunk of stream) text = (text + decoder.decode(chunk, { stream: true })).slice(-2_000);
  return text;
}
