import { expect } from "bun:test";
import { connect } from "node:net";
import { METHODS } from "node:http";
import { join } from "node:path";
import { Answer } from "../../src/http1/answer.ts";
import { program, testWith } from "../support/programs.ts";
import { Dice, hostileBytes, packetsOf } from "./hostile-requests.ts";
import { TEXT, bodyOf, serve } from "./server.ts";

const CASES = Number(process.env["HTTP1_CASES"] ?? 4_000);
/** Another one each day, so that more is seen over time; a failure names it. */
const SEED = Number(process.env["HTTP1_SEED"] ?? Math.floor(Date.now() / 86_400_000));
const AT_ONCE = 8;
/** For a server that waits for more while the other has understood everything. */
const PATIENCE_MS = 400;

const NODE_METHODS = new Set(METHODS);

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  body: string;
  /** All of the body has come. */
  complete: boolean;
}

interface NodeSeen {
  readonly requests: (Omit<Seen, "headers"> & {
    readonly headers: string[];
    readonly version: string;
    readonly upgrade?: true;
  })[];
  readonly error?: string;
}

testWith(
  program("node"),
  `what is accepted, Node understands as the same requests (HTTP1_SEED=${SEED})`,
  async (node) => {
    const dice = new Dice(SEED);
    const cases = Array.from({ length: CASES }, () => packetsOf(hostileBytes(dice), dice));
    const theirs = await nodeSees(node, cases);
    const tally = { requests: 0, whole: 0 };
    let next = 0;
    const worker = async (): Promise<void> => {
      let seen: Seen[] = [];
      await using server = serve(async (request) => {
        const { method, url, headers } = request;
        const one: Seen = { method, url, headers: [...headers], body: "", complete: false };
        seen.push(one);
        const body = await bodyOf(request);
        one.body = body.toString("latin1");
        one.complete = true;
        return new Answer(200, TEXT, "");
      });
      for (let index = next++; index < CASES; index = next++) {
        seen = [];
        const packets = cases[index] as string[];
        const they = theirs[index] as NodeSeen;
        await send(server.port, packets, () => seen.filter(({ complete }) => complete).length >= they.requests.length);
        const wrong = difference(packets.join(""), seen, they);
        tally.requests += seen.length;
        tally.whole += seen.filter(({ complete }) => complete).length;
        if (wrong !== undefined)
          throw new Error(`seed ${SEED}, case ${index}: ${wrong}\n${JSON.stringify({ packets, seen, they }, null, 1)}`);
        expect(server.failures).toEqual([]);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    // Who refuses everything never differs.
    expect(tally.whole).toBeGreaterThan(CASES / 3);
  },
);

/** What differs in a way that could be used, undefined where nothing does. To see fewer requests is to be stricter. */
function difference(bytes: string, ours: readonly Seen[], { requests, error }: NodeSeen): string | undefined {
  for (const [index, mine] of ours.entries()) {
    const theirs = requests[index];
    // Sloppy clients write names as they are; Node wants them escaped, and both see where the target ends.
    if (theirs === undefined && error === "HPE_INVALID_URL" && /^\S+ \S*[\x80-\xff]/m.test(bytes)) return undefined;
    // A tab behind a value is no part of it (RFC 9110 section 5.5); of a length Node takes it for one, and refuses that.
    if (theirs === undefined && error === "HPE_INVALID_CONTENT_LENGTH" && /^content-length:[ \t]*\d+ *\t/im.test(bytes))
      return undefined;
    // Node refuses methods that it has not heard of; here that is for whoever serves the path.
    if (theirs === undefined && !NODE_METHODS.has(mine.method)) return undefined;
    if (theirs === undefined) return `request ${index} is seen here only; Node: ${error ?? "waits for more"}`;
    // Behind an upgrade Node reads no HTTP any more; nothing is upgraded here.
    if (theirs.upgrade === true) return undefined;
    const { expected, host } = meant(theirs);
    if (mine.method !== theirs.method) return `another method in request ${index}`;
    if (mine.url !== expected) return `another URL in request ${index}: ${mine.url} and ${expected}`;
    const fields = joined(theirs.headers);
    if (host !== undefined) fields.set("host", host);
    if (sorted(mine.headers) !== sorted(fields)) return `other headers in request ${index}`;
    if (mine.complete && !theirs.complete) return `request ${index} is over here only`;
    if (mine.complete && mine.body !== theirs.body) return `another body in request ${index}`;
  }
  return undefined;
}

/** The URL that is meant by a target (RFC 9112 section 3.3), in the form of the URL standard. */
function meant({ url: target, headers }: NodeSeen["requests"][number]): { expected: string; host: string | undefined } {
  const bytes = target.replaceAll(/[\x80-\xff]/g, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase()}`);
  const absolute = /^https?:\/\/([^/?]+)(.*)$/i.exec(bytes);
  const host = absolute?.[1];
  const rest = absolute === null ? bytes : (absolute[2] ?? "");
  const path = rest.startsWith("/") ? rest : `/${rest}`;
  const named = host ?? joined(headers).get("host") ?? "";
  const url = /^$|[^\x21-\x7e]|[/?#@\\]/.test(named) ? null : URL.parse(`http://${named}${path}`);
  // Such a request has no host that could be meant, and is refused for that by who serves it.
  return { expected: url?.href ?? new URL(`http://nowhere.invalid${path}`).href, host };
}

function sorted(fields: Iterable<readonly [name: string, value: string]>): string {
  return [...fields]
    .map((field) => JSON.stringify(field))
    .toSorted((a, b) => (a < b ? -1 : 1))
    .join("\n");
}

function joined(raw: readonly string[]): Map<string, string> {
  const fields = new Map<string, string>();
  for (let at = 0; at < raw.length; at += 2) {
    const name = (raw[at] as string).toLowerCase();
    const before = fields.get(name);
    const value = raw[at + 1] as string;
    fields.set(name, before === undefined ? value : `${before}${name === "cookie" ? "; " : ", "}${value}`);
  }
  return fields;
}

async function nodeSees(node: string, cases: readonly string[][]): Promise<NodeSeen[]> {
  const child = Bun.spawn([node, "--no-deprecation", join(import.meta.dir, "../fixtures/node-parser.cjs")], {
    stdin: "pipe",
    stdout: "pipe",
  });
  void child.stdin.write(cases.map((packets) => `${JSON.stringify(packets)}\n`).join(""));
  await child.stdin.end();
  const text = await new Response(child.stdout).text();
  expect(await child.exited).toBe(0);
  const lines = text.trimEnd().split("\n");
  expect(lines).toHaveLength(cases.length);
  return lines.map((line) => JSON.parse(line) as NodeSeen);
}

/** Sends packets one after the other, until the server closes or everything that can be understood was. */
function send(port: number, packets: readonly string[], understood: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    let sent = false;
    let waiting: ReturnType<typeof setTimeout> | undefined;
    const look = (): void => {
      if (sent && understood()) socket.end();
    };
    socket.setNoDelay(true);
    const pending = [...packets];
    const go = (): void => {
      const packet = pending.shift();
      if (packet !== undefined) {
        socket.write(Buffer.from(packet, "latin1"));
        setImmediate(go);
        return;
      }
      sent = true;
      waiting = setTimeout(() => socket.end(), PATIENCE_MS);
      look();
    };
    socket.on("connect", go);
    socket.on("data", look);
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "ECONNRESET" && error.code !== "EPIPE") reject(error);
    });
    socket.on("close", () => {
      clearTimeout(waiting);
      resolve();
    });
  });
}
