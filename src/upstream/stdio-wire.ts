import type { Clock } from "../telemetry/clock.ts";
import { Child } from "./child.ts";
import type { ChildOptions } from "./child.ts";
import { Fault } from "./fault.ts";
import { LineReader } from "./line-reader.ts";
import { answeredId, messagesIn } from "./line-answer.ts";
import { StdinQueue } from "./stdio-input.ts";
import { NoiseGate, skippedLine } from "./line-noise.ts";
import type { Wire, WireListener } from "./wire.ts";

export interface StdioWireOptions extends ChildOptions {
  /** Longest message the child may send, in bytes. */
  readonly maxMessageBytes: number;
  /** Text that may wait for a child that does not read, in characters; 64 Mi by default. */
  readonly maxPendingChars?: number;
  /** Takes configured secrets out of what the child wrote to stderr. */
  readonly redact?: (text: string) => string;
}

/** How long output of a child that has ended is waited for; processes it left behind may hold the pipe open. */
const DRAIN_MS = 500;
/** How long a child may live on after it has closed stdin or stdout, without which it cannot serve. */
const DEAF_MS = 1000;
const MAX_PENDING_CHARS = 64 * 1024 * 1024;
/** stderr has no protocol; what is longer is cut in the log anyway. */
const STDERR_LINE_BYTES = 16 * 1024;
/** After so much output of one child it is everybody else's turn. */
const BYTES_PER_TURN = 256 * 1024;
/** Lines without one message among them, after which a child is taken for broken: reading it costs the others time. */
const MAX_GARBAGE_LINES = 50_000;
const OPEN_BRACE = 123;

/**
 * A child process that speaks JSON-RPC, one message a line (MCP 2025-11-25, basic/transports, stdio). What is not a
 * message on its stdout is noise: many servers print a banner there.
 */
export class StdioWire implements Wire {
  readonly attributes = false;
  readonly #options: StdioWireOptions;
  readonly #clock: Clock;
  #listener: WireListener | undefined;
  #child: Child | undefined;
  #stdin: StdinQueue | undefined;
  #stderr: NoiseGate | undefined;
  #stdout: NoiseGate | undefined;
  /** Why the link ends, set once: the first cause counts. `asked` is an orderly end. */
  #cause: Fault | "asked" | undefined;
  readonly #ended = Promise.withResolvers<void>();
  #over = false;
  /** Lines in a row that were no message. */
  #garbage = 0;

  constructor(options: StdioWireOptions) {
    this.#options = options;
    this.#clock = options.clock;
  }

  /** Process id of the child, undefined before it runs. */
  get pid(): number | undefined {
    return this.#child?.process.pid;
  }

  async open(listener: WireListener): Promise<void> {
    const { maxMessageBytes, watchdog } = this.#options;
    const redact = this.#options.redact ?? ((text: string) => text);
    await watchdog.ready();
    if (this.#cause !== undefined) throw stopped();
    const child = Child.start(this.#options);
    const stdin = new StdinQueue(child.process.stdin, this.#options.maxPendingChars ?? MAX_PENDING_CHARS, () =>
      this.#deaf("closed its stdin"),
    );
    const stderr = new NoiseGate((line) => listener.noise(line, "stderr"), this.#clock, redact);
    this.#listener = listener;
    this.#child = child;
    this.#stdin = stdin;
    this.#stderr = stderr;
    this.#stdout = new NoiseGate((line) => listener.noise(line, "stdout"), this.#clock, redact);

    const output = drain(child.process.stdout, this.#messageReader(maxMessageBytes));
    const errors = drain(child.process.stderr, this.#stderrReader(stderr));
    void output.ended.then(() => this.#deaf("closed its stdout"));
    void child.process.exited.then(() => this.#exited(child, [output, errors]));
  }

  request(id: number, text: string): void {
    const fault = this.#refusal(text);
    if (fault === undefined) this.#stdin?.push(text, id);
    // Later, so that the caller has noted the request before it hears of it.
    else queueMicrotask(() => this.#listener?.failed(id, fault));
  }

  send(text: string): void {
    const fault = this.#refusal(text);
    if (fault === undefined) this.#stdin?.push(text, undefined);
    else if (fault.code === "upstream.overloaded")
      this.#stdout?.line("dropped a message to it: it does not read its stdin");
  }

  abandon(): void {}

  initialized(): void {}

  listen(): void {}

  async close(): Promise<void> {
    this.#cause ??= "asked";
    if (this.#child === undefined) return;
    // What is queued leaves before stdin is closed behind it.
    this.#stdin?.flush();
    await this.#child.stop();
    await this.#ended.promise;
  }

  /** Why nothing more can be sent, undefined when it can. */
  #refusal(text: string): Fault | undefined {
    if (this.#stdin === undefined || this.#cause !== undefined) {
      return this.#cause instanceof Fault ? unsent(this.#cause) : stopped();
    }
    if (!this.#stdin.full(text.length)) return undefined;
    return new Fault("upstream.overloaded", "the server does not read its input as fast as it is asked; try later", {
      notRun: true,
    });
  }

  #messageReader(maxBytes: number): LineReader {
    const tooLarge = new Fault(
      "upstream.too_large",
      `the server's answer is longer than ${maxBytes} bytes; raise the limit of messages or ask for less`,
    );
    let told = false;
    const tell = (head: string, tail: string): void => {
      const id = told ? undefined : answeredId(head, tail);
      if (id === undefined) return;
      told = true;
      this.#listener?.failed(id, tooLarge);
    };
    return new LineReader(maxBytes, {
      line: (text) => this.#line(text),
      oversized: (head) => {
        told = false;
        tell(head, "");
      },
      skipped: (head, tail, bytes) => {
        tell(head, tail);
        this.#stdout?.line(skippedLine(bytes, maxBytes, head));
      },
    });
  }

  #line(text: string): void {
    const listener = this.#listener;
    if (listener === undefined || this.#over) return;
    // By far the most lines are one message each and nothing else.
    if (text.charCodeAt(0) === OPEN_BRACE) {
      this.#garbage = 0;
      return listener.message(text, undefined);
    }
    const messages = messagesIn(text);
    // A log line may well begin with a bracket: "[info] ready".
    if (messages.length === 0) this.#noMessage(text);
    for (const message of messages) listener.message(message, undefined);
  }

  #noMessage(text: string): void {
    this.#stdout?.line(text);
    if (++this.#garbage < MAX_GARBAGE_LINES || this.#cause !== undefined) return;
    this.#cause = new Fault("upstream.protocol", `the server wrote ${MAX_GARBAGE_LINES} lines that are no messages`);
    void this.#child?.stop();
  }

  #stderrReader(gate: NoiseGate): LineReader {
    return new LineReader(STDERR_LINE_BYTES, {
      line: (text) => gate.line(text),
      oversized: (head) => gate.line(`${head} ... cut`),
      skipped: () => {},
    });
  }

  /** Half of the link is gone; if the process does not end of itself, it is ended. */
  #deaf(what: string): void {
    this.#clock.after(DEAF_MS, () => {
      if (this.#over || this.#cause !== undefined || this.#child === undefined) return;
      this.#cause = this.#exitFault(what);
      void this.#child.stop();
    });
  }

  async #exited(child: Child, outputs: readonly Drain[]): Promise<void> {
    const late = Promise.withResolvers<void>();
    const cancel = this.#clock.after(DRAIN_MS, late.resolve);
    await Promise.race([Promise.all(outputs.map((output) => output.ended)), late.promise]);
    cancel();
    const [half, lastError] = outputs.map((output) => output.finish());
    if (half) this.#stdout?.line(`half a line at its end: ${half}`);
    if (lastError) this.#stderr?.line(lastError);
    this.#stderr?.end();
    this.#stdout?.end();
    const { exitCode, signalCode } = child.process;
    this.#cause ??= this.#exitFault(signalCode === null ? `exit code ${exitCode}` : `ended by ${signalCode}`);
    const fault = this.#cause === "asked" ? undefined : this.#cause;
    this.#over = true;
    for (const id of this.#stdin?.end() ?? [])
      this.#listener?.failed(id, fault === undefined ? stopped() : unsent(fault));
    this.#listener?.closed(fault);
    await child.stop();
    this.#ended.resolve();
  }

  #exitFault(how: string): Fault {
    const lines = this.#stderr?.lastLines ?? [];
    return new Fault("upstream.exited", `the server's process is gone: ${how}`, {
      detail: lines.length === 0 ? undefined : lines.join("\n"),
    });
  }
}

interface Drain {
  /** Resolves at the end of the stream, whatever ended it. */
  readonly ended: Promise<void>;
  /** Stops reading; returns the half line that was left. */
  finish(): string;
}

function drain(stream: ReadableStream<Uint8Array>, lines: LineReader): Drain {
  const reader = stream.getReader();
  let bytes = 0;
  const read = async (): Promise<void> => {
    for (;;) {
      // A pipe that breaks has ended.
      const part = await reader.read().catch(() => undefined);
      if (part === undefined || part.done) return;
      lines.push(part.value);
      bytes += part.value.byteLength;
      if (bytes < BYTES_PER_TURN) continue;
      bytes = 0;
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return {
    ended: read(),
    finish: () => {
      reader.cancel().catch(() => undefined);
      return lines.end();
    },
  };
}

function unsent(fault: Fault): Fault {
  return new Fault(fault.code, fault.message, { detail: fault.detail, notRun: true });
}

function stopped(): Fault {
  return new Fault("upstream.stopped", "the server is being stopped; try again later", { notRun: true });
}
