import { describe, expect, test } from "bun:test";
import { isJsonMediaType, isKnownVersionHeader, readAccept } from "../../src/protocol/http-headers.ts";

describe("Accept", () => {
  const rows: [header: string | null, json: boolean, events: boolean][] = [
    [null, true, true],
    ["application/json, text/event-stream", true, true],
    ["text/event-stream,application/json", true, true],
    ["*/*", true, true],
    ["application/*", true, false],
    ["text/*", false, true],
    ["application/json", true, false],
    ["text/event-stream", false, true],
    ["APPLICATION/JSON", true, false],
    ["application/json;q=0.1", true, false],
    ["application/json;q=0", false, false],
    ["application/json; q=0.000, text/event-stream; Q=0", false, false],
    ["application/json;charset=utf-8;q=1", true, false],
    ["text/html, application/xhtml+xml", false, false],
    ["application/jsonp", false, false],
    ["application/json-seq", false, false],
    ["text/event-streams", false, false],
    ["json", false, false],
    [",,,", false, false],
    [`${"x/y,".repeat(5_000)}application/json`, true, false],
  ];
  for (const [header, json, events] of rows) {
    test(JSON.stringify(header?.slice(0, 60) ?? null), () => {
      expect(readAccept(header)).toEqual({ json, events });
    });
  }
  test("a kind that is refused by name stays refused beside a wildcard", () => {
    expect(readAccept("*/*, text/event-stream;q=0")).toEqual({ json: true, events: false });
    expect(readAccept("application/json;q=0, */*")).toEqual({ json: false, events: true });
  });
});

describe("Content-Type", () => {
  const yes = [
    "application/json",
    "Application/JSON",
    "application/json; charset=utf-8",
    'application/json;charset="UTF-8"',
    "application/json ; charset=utf8",
    "application/json;x=y",
  ];
  const no = [
    null,
    "",
    "text/json",
    "application/jsonx",
    "application/json-rpc",
    "application/json; charset=utf-16",
    "application/json; charset=latin1",
    "text/plain; x=application/json",
    "application/x-www-form-urlencoded",
    "application/json, text/plain",
  ];
  for (const header of yes) test(`${header} is JSON`, () => expect(isJsonMediaType(header)).toBeTrue());
  for (const header of no) test(`${header} is not`, () => expect(isJsonMediaType(header)).toBeFalse());
});

test("the version header is absent or a legacy version", () => {
  for (const header of [null, "2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", " 2025-11-25 "])
    expect(isKnownVersionHeader(header)).toBeTrue();
  for (const header of ["", "2025", "2025-11-26", "2025-11-25,2025-11-25", "constructor"])
    expect(isKnownVersionHeader(header)).toBeFalse();
});
