import { expect, test } from "bun:test";
import { connectionLimit } from "../../src/http/connection-limit.ts";

const limits = (files: string): string =>
  `Limit  Soft Limit  Hard Limit  Units\nMax open files            ${files} ${files} files\n`;

test("a share of the files a process may open is kept from its clients", () => {
  expect(connectionLimit(limits("1024"))).toBe(768);
  expect(connectionLimit(limits("65536"))).toBe(57_344);
  expect(connectionLimit(limits("128"))).toBe(64);
  expect(connectionLimit(limits("unlimited"))).toBe(Number.POSITIVE_INFINITY);
  expect(connectionLimit("")).toBe(Number.POSITIVE_INFINITY);
});
