import { createInterface } from "node:readline";
import { Writable } from "node:stream";

/** Reads one line of standard input; on a terminal what is typed is not shown. */
export async function readSecret(
  prompt: string,
  input: NodeJS.ReadStream,
  show: (text: string) => void,
): Promise<string | undefined> {
  const terminal = input.isTTY;
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input, output: silent, terminal });
  if (terminal) show(prompt);
  try {
    return await new Promise<string | undefined>((resolve) => {
      lines.once("line", resolve);
      lines.once("close", () => resolve(undefined));
    });
  } finally {
    lines.close();
    if (terminal) show("\n");
  }
}
