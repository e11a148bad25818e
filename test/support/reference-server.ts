import { join } from "node:path";

/** The command of a server that offers all there is in one era, on stdio unless `args` say otherwise. */
export function referenceServer(era: "legacy" | "modern", ...args: readonly string[]): string[] {
  return [process.execPath, join(import.meta.dir, `../conformance/${era}-server.ts`), ...args];
}

/** One of them that runs, as a configuration names it. */
export interface ReferenceServer extends AsyncDisposable {
  readonly entry: { readonly url: string; readonly transportType: "streamable-http" };
}

export async function startReference(era: "legacy" | "modern"): Promise<ReferenceServer> {
  const child = Bun.spawn(referenceServer(era, "--http", "0", "--exit-with-stdin"), { stdin: "pipe", stdout: "pipe" });
  const { value } = await child.stdout.getReader().read();
  return {
    entry: { url: new TextDecoder().decode(value).trim(), transportType: "streamable-http" },
    [Symbol.asyncDispose]: async () => {
      child.kill();
      await child.exited;
    },
  };
}
