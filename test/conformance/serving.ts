/** What both reference servers share when they run as programs. */
import { parseArgs } from "node:util";

export interface ServerArguments {
  /** Undefined: stdio. */
  readonly port: number | undefined;
  readonly exitWithStdin: boolean;
}

/** @throws TypeError for an unknown argument, RangeError for a port that is none. */
export function serverArguments(args: string[]): ServerArguments {
  const { values } = parseArgs({
    args,
    options: { http: { type: "string" }, "exit-with-stdin": { type: "boolean", default: false } },
  });
  const port = values.http === undefined ? undefined : Number(values.http);
  if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port < 65536)) {
    throw new RangeError(`--http ${values.http}: not a port`);
  }
  return { port, exitWithStdin: values["exit-with-stdin"] };
}

export function exitWithStdin(): void {
  process.stdin.on("end", () => process.exit(0));
  process.stdin.resume();
}

/** Whether Host and, if there is one, Origin name this machine. */
export function isLocal(request: Request): boolean {
  const origin = request.headers.get("origin");
  return names(`http://${request.headers.get("host") ?? ""}`) && (origin === null || names(origin));
}

function names(url: string): boolean {
  const parsed = URL.parse(url);
  return parsed !== null && ["localhost", "127.0.0.1", "[::1]"].includes(parsed.hostname);
}
