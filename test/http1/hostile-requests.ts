import { seeded } from "../support/seeded.ts";

/** Numbers that come again with the same seed. */
export class Dice {
  /** In [0, 1). */
  readonly next: () => number;

  constructor(seed: number) {
    this.next = seeded(seed);
  }

  below(count: number): number {
    return Math.floor(this.next() * count);
  }

  of<T>(all: readonly T[]): T {
    return all[this.below(all.length)] as T;
  }

  /** True once in so many times. */
  once(times: number): boolean {
    return this.below(times) === 0;
  }
}

const METHODS = ["GET", "POST", "POST", "POST", "DELETE", "PUT", "HEAD", "OPTIONS", "PATCH", "TRACE", "M-SEARCH"];
const ODD_METHODS = ["get", "", "PO ST", "G@T", "GET\t", " GET", "P\u00d6ST", "PRI", "GET\0"];
const TARGETS = ["/", "/a/mcp", "/a?x=1&y=%20", "/%2e%2e/a", "/a/../b", "//x/y", "/;p", "/a|b", '/"', "/a?b\\c"];
const ODD_TARGETS = [
  ...[
    "*",
    "http://other/p?q",
    "https://other:81/",
    "http://other",
    "http://other?x",
    "HTTP://Other/",
    "http://[::1]:5/",
  ],
  ...[
    "http://u@other/",
    "http:///p",
    "http://a\\b/",
    "other:443",
    "a",
    "",
    "/a b",
    "/a\tb",
    "/#f",
    "/a\\b",
    "\\a",
    "/\0",
  ],
  ...["/\x7f", "?x", "http://a:b/", "ftp://a/", "/\u00e4", "http://a/#f", " /", "/ "],
];
const VERSIONS = [
  "HTTP/1.0",
  "HTTP/1.2",
  "HTTP/2.0",
  "HTTP/0.9",
  "http/1.1",
  "HTTP/1.10",
  "HTTP/1.1 ",
  "HTTP/11",
  "",
  "HTTP/1.",
];
const LINES = [
  ...[
    "X-A: b",
    "X-A:b",
    "X-A:   b  ",
    "X-A:\tb\t",
    "X-A:",
    "X-A: b c\td",
    "X-A: \u00e4\u00ff",
    "x-a: 2",
    "Cookie: a=b",
  ],
  ...["Cookie: c=d", "Accept: */*", "Origin: http://x", "Connection: keep-alive", "Connection: x, y", "X-A: a: b:c"],
];
const ODD_LINES = [
  ...[
    "X-A : b",
    " X-A: b",
    "X-A: b\r\n c",
    "X-A: b\r\n\tc",
    "X-A",
    ": b",
    "X A: b",
    "X-A: a\0b",
    "X-A: a\x7fb",
    "X-\u00e4: b",
  ],
  ...[
    "X-A: a\nX-B: c",
    "X-A: a\rX-B: c",
    "X-A: a\n\r\nX-B: c",
    "Host: second",
    "Connection: close",
    "Connection: Close",
  ],
  ...[
    "Content-Length: 0",
    "Content-Length: 5",
    "Content-Length : 5",
    "Transfer-Encoding: chunked",
    "Expect: 100-continue",
  ],
  ...["Transfer-Encoding:\x0bchunked", "Transfer-Encoding: chunked\r\n", "Content_Length: 5", "Content-Length: \r\n 5"],
  ...["X-A: \x01", "(X): b", "X-A: b\r", "\r", "X-A: b\0", "Transfer-Encoding\0: chunked", "Expect: 200-maybe"],
];
const LENGTHS = [
  "+N",
  "-N",
  "N N",
  "N, N",
  "N,N",
  "0xN",
  "N.0",
  "NeN",
  "N;",
  "",
  "0N",
  "000N",
  "999999999999999999999",
  "N\r\nContent-Length: N",
];
const CODINGS = [
  ...[
    "Chunked",
    "CHUNKED",
    " chunked ",
    "chunked, chunked",
    "gzip, chunked",
    "chunked, gzip",
    "identity",
    "\tchunked",
    "",
  ],
  ...[
    "xchunked",
    "chunked;q=1",
    "chunked,",
    ",chunked",
    '"chunked"',
    "chunked\r\nTransfer-Encoding: identity",
    "\x0cchunked",
  ],
];
const EXTENSIONS = [
  ";a=b",
  ";a",
  ';a="b"',
  ';a="b;c"',
  ";;",
  "; a = b",
  " ;a",
  "\t",
  " ",
  ";a=\n",
  ";a\r",
  ";\0",
  ";\u00ff",
  ";a=b\rc",
];
const SPOILERS = [
  "\r",
  "\n",
  "\r\n",
  "\0",
  " ",
  "\t",
  ":",
  ",",
  ";",
  "0",
  "1",
  "a",
  "\x0b",
  "\x80",
  "\xff",
  "\r\n\r\n",
  "\r\r\n",
];

/** Requests, one behind the other, of which something is wrong or at least odd; as Latin-1. */
export function hostileBytes(dice: Dice): string {
  let bytes = "";
  for (let left = 1 + dice.below(3); left > 0; left--) bytes += oneRequest(dice);
  if (dice.once(4)) bytes += dice.of(SPOILERS);
  for (let left = dice.once(3) ? 1 + dice.below(2) : 0; left > 0; left--) {
    const at = dice.below(bytes.length + 1);
    const dropped = dice.below(3);
    bytes = bytes.slice(0, at) + (dice.once(3) ? "" : dice.of(SPOILERS)) + bytes.slice(at + dropped);
  }
  return bytes;
}

/** Torn apart at random places. */
export function packetsOf(bytes: string, dice: Dice): string[] {
  const places = Array.from({ length: dice.below(4) }, () => dice.below(bytes.length + 1)).toSorted((a, b) => a - b);
  return [0, ...places].map((from, index) => bytes.slice(from, places[index])).filter((packet) => packet !== "");
}

function oneRequest(dice: Dice): string {
  const feed = dice.once(25) ? dice.of(["\n", "\r", "\r\r\n", "\n\r"]) : "\r\n";
  const method = dice.once(20) ? dice.of(ODD_METHODS) : dice.of(METHODS);
  const target = dice.once(8) ? dice.of(ODD_TARGETS) : dice.of(TARGETS);
  const version = dice.once(25) ? dice.of(VERSIONS) : "HTTP/1.1";
  const lines = [`${method} ${target} ${version}`];
  if (!dice.once(20)) lines.push("Host: here");
  for (let left = dice.below(4); left > 0; left--) lines.push(dice.of(dice.once(8) ? ODD_LINES : LINES));
  const { fields, body } = bodyOf(dice);
  lines.splice(1 + dice.below(lines.length), 0, ...fields);
  const before = dice.once(12) ? dice.of(["\r\n", "\n", "\r\n\r\n", " ", "\r"]) : "";
  return `${before}${lines.join(feed)}${feed}${dice.once(30) ? dice.of(["\n", "\r", ""]) : feed}${body}`;
}

function bodyOf(dice: Dice): { fields: string[]; body: string } {
  const content = dice.of([
    "",
    "x",
    "hello",
    "GET /inner HTTP/1.1\r\nHost: here\r\n\r\n",
    "0\r\n\r\n",
    "\r\n",
    "\u00c3\u00a4\0\xff",
  ]);
  const size = content.length;
  switch (dice.below(5)) {
    case 0:
      return { fields: [], body: dice.once(12) ? content : "" };
    case 1: {
      const length = dice.once(6) ? size + dice.of([-1, 1, 5, 60]) : size;
      return { fields: [`Content-Length: ${length}`], body: content };
    }
    case 2: {
      const odd = dice.once(3) ? dice.of(LENGTHS).replaceAll("N", String(size)) : String(size);
      return { fields: [`Content-Length: ${odd}`], body: content };
    }
    case 3: {
      const fields = [`Transfer-Encoding: ${dice.once(3) ? dice.of(CODINGS) : "chunked"}`];
      if (dice.once(10)) fields.push(`Content-Length: ${dice.of([0, size, 5])}`);
      if (dice.once(2)) fields.reverse();
      return { fields, body: chunksOf(content, dice) };
    }
    default:
      return { fields: ["Transfer-Encoding: chunked"], body: chunksOf(content, dice) };
  }
}

function chunksOf(content: string, dice: Dice): string {
  let text = "";
  const feed = (): string => (dice.once(25) ? dice.of(["\n", "\r", "", "\r\r\n"]) : "\r\n");
  for (let at = 0; at < content.length;) {
    const piece = content.slice(at, at + 1 + dice.below(content.length));
    at += piece.length;
    text += sizeOf(piece.length, dice) + (dice.once(6) ? dice.of(EXTENSIONS) : "") + feed() + piece + feed();
  }
  const trailers = dice.once(5)
    ? dice.of(["X-T: 1\r\n", "X-T\r\n", " X-T: 1\r\n", "Content-Length: 5\r\n", "X: \0\r\n", "X : 1\r\n"])
    : "";
  return `${text}${dice.once(8) ? dice.of(["00", "000000000000000000", "0;a", "0 ", "", "-0", "0x0"]) : "0"}${feed()}${trailers}${feed()}`;
}

function sizeOf(length: number, dice: Dice): string {
  const hex = length.toString(16);
  if (!dice.once(6)) return hex;
  const odd = [
    hex.toUpperCase(),
    `0${hex}`,
    `000000000000000${hex}`,
    `0x${hex}`,
    `+${hex}`,
    `-${hex}`,
    ` ${hex}`,
    `${hex} `,
  ];
  return dice.of([
    ...odd,
    "ffffffffffffffff",
    "10000000000000000",
    `1000000000000000${hex}`,
    "",
    "g",
    `${hex}_0`,
    `${hex}.0`,
  ]);
}
