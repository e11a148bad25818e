import { describe, expect, test } from "bun:test";
import { EventReader } from "../../src/upstream/event-reader.ts";

const LIMIT = 1_000;

/** Everything a reader says, with the text cut into pieces of one length. */
function read(text: string, pieceChars: number, limit = LIMIT): string[] {
  const said: string[] = [];
  const reader = new EventReader(limit, {
    message: (data) => void said.push(data),
    other: (type, data) => void said.push(`${type}: ${data}`),
    prime: () => void said.push("prime"),
    oversized: (head) => void said.push(`oversized ${head.slice(0, 8)}`),
    skipped: (_head, tail, chars) => void said.push(`skipped ${tail.trim().slice(-8)} ${chars > limit}`),
    id: (id) => void said.push(`id ${id}`),
    retry: (ms) => void said.push(`retry ${ms}`),
  });
  for (let at = 0; at < text.length; at += pieceChars) reader.push(text.slice(at, at + pieceChars));
  return said;
}

describe("an event stream, however it is cut", () => {
  const events = [
    ": open\n\n",
    "id: 1\nretry: 50\ndata:\n\n",
    "event: endpoint\ndata: /post\n\n",
    "data: {}\n\n",
    `: ${"c".repeat(3_000)}\n\n`,
    `event: message\nid: 2\ndata: {"id":7,\ndata: "x":"${"y".repeat(5_000)}",\ndata: "end":12}\n\n`,
    "data: [1,\ndata: 2]\n\n",
    `data: "${"z".repeat(900)}"\n\n`,
    `id: 3\ndata: 12345678${"w".repeat(1_000)}\n\n`,
    `data: abcdefgh${"w".repeat(4_000)}\nid: 4\n\n`,
    "id: 5\ndata: last\n\n",
    "data: never ended",
  ];
  const said = [
    ...["retry 50", "id 1", "prime", "endpoint: /post", "{}"],
    ...["id 2", 'oversized {"id":7,', 'skipped end":12} true'],
    ...["[1,\n2]", `"${"z".repeat(900)}"`],
    ...["id 3", "oversized 12345678", "skipped wwwwwwww true"],
    ...["oversized abcdefgh", "skipped wwwwwwww true"],
    ...["id 5", "last"],
  ];
  test.each(["\n", "\r\n", "\r"])("at lines that end in %j, in pieces of any size", (end) => {
    const text = events.join("").replaceAll("\n", end);
    for (const pieceChars of [1, 2, 3, 7, 64, 500, 999, 1_001, 4_096, 100_000]) {
      expect([pieceChars, ...read(text, pieceChars)]).toEqual([pieceChars, ...said]);
    }
  });

  test("a byte order mark at its beginning is none of the first event", () => {
    expect(read("\uFEFFdata: {}\n\n", 100)).toEqual(["{}"]);
  });
});
