/** Header fields of an answer, kept as the text that is sent. Made once and shared where nothing differs. */
export class AnswerHeaders {
  /** Lines, each with its line break. */
  readonly text: string;
  readonly #fields: readonly (readonly [name: string, value: string])[];

  /** @throws TypeError when a value could begin a line of its own */
  constructor(fields: Iterable<readonly [name: string, value: string]> | Readonly<Record<string, string>>) {
    this.#fields = Symbol.iterator in fields ? [...fields] : Object.entries(fields);
    this.text = this.#fields.map(([name, value]) => `${name}: ${checked(name, value)}\r\n`).join("");
  }

  /** These, with one more or another value. */
  with(name: string, value: string): AnswerHeaders {
    const others = this.#fields.filter(([known]) => known.toLowerCase() !== name.toLowerCase());
    return new AnswerHeaders([...others, [name, value]]);
  }

  get(name: string): string | null {
    return this.#fields.find(([known]) => known.toLowerCase() === name.toLowerCase())?.[1] ?? null;
  }
}

function checked(name: string, value: string): string {
  if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) throw new TypeError(`a control character in the header ${name}`);
  return value;
}

/** Where a stream writes. */
export interface Outlet {
  /** @returns whether there is room for more; else `drained` is called when there is */
  write(text: string): boolean;
  /** Ends the answer, with a last text. */
  end(text: string): void;
  /** Ends the connection in the middle of the answer. */
  cut(): void;
}

/** A body that is written over time. */
export interface StreamedBody {
  /** The head of the answer leaves now. @returns what leaves with it */
  open(outlet: Outlet): string;
  /** What was written before has left. */
  drained(): void;
  /** The client has left. */
  left(): void;
}

/** What is answered to a request. */
export class Answer {
  readonly status: number;
  readonly headers: AnswerHeaders;
  readonly body: string | Uint8Array | StreamedBody;
  /** No further request on this connection. */
  readonly closes: boolean;

  constructor(
    status: number,
    headers: AnswerHeaders,
    body: string | Uint8Array | StreamedBody = "",
    { closes = false }: { readonly closes?: boolean } = {},
  ) {
    this.status = status;
    this.headers = headers;
    this.body = body;
    this.closes = closes;
  }
}
