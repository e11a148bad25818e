import { connect } from "node:net";
import type { Socket } from "node:net";

/** A connection as bytes, read as Latin-1. */
export class Wire implements Disposable {
  readonly socket: Socket;
  /** All that has come. */
  text = "";
  /** Resolves when the other side has closed. */
  readonly closed: Promise<void>;
  over = false;
  #look: (() => void) | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (part: Buffer) => {
      this.text += part.toString("latin1");
      this.#look?.();
    });
    socket.on("error", () => undefined);
    this.closed = new Promise((resolve) => {
      socket.on("close", () => {
        this.over = true;
        this.#look?.();
        resolve();
      });
    });
  }

  static to(port: number): Promise<Wire> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, "127.0.0.1", () => resolve(new Wire(socket)));
      socket.once("error", reject);
    });
  }

  send(bytes: string | Uint8Array): this {
    this.socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
    return this;
  }

  /** Waits for what is expected. @throws Error when the connection closes without it */
  async until(expected: string | (() => boolean)): Promise<string> {
    const here = typeof expected === "string" ? () => this.text.includes(expected) : expected;
    while (!here()) {
      if (this.over) throw new Error(`closed without it: ${JSON.stringify(this.text.slice(0, 500))}`);
      await new Promise<void>((resolve) => {
        this.#look = resolve;
      });
    }
    return this.text;
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

/** Sends bytes and waits for the end. */
export async function ask(port: number, bytes: string): Promise<string> {
  using wire = await Wire.to(port);
  wire.send(bytes);
  await wire.closed;
  return wire.text;
}

/** Waits for what no event tells of. */
export async function eventually(holds: () => boolean): Promise<void> {
  for (let tries = 0; !holds(); tries++) {
    if (tries > 2_000) throw new Error(`never: ${holds.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
