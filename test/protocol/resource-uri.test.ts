import { expect, test } from "bun:test";
import { fitsTemplate, withServer, withoutServer } from "../../src/protocol/resource-uri.ts";

test("a server's name goes into a URI and out of it again", () => {
  const rows = [
    ["file:///a/b", "file://gh//a/b"],
    ["resource://x", "resource://gh/x"],
    ["urn:isbn:1", "urn:gh/isbn:1"],
    ["db://{table}/{+rest}", "db://gh/{table}/{+rest}"],
  ] as const;
  for (const [uri, shown] of rows) {
    expect(withServer(uri, "gh")).toBe(shown);
    expect(withoutServer(shown, "gh")).toBe(uri);
    expect(withoutServer(shown, "g")).toBeUndefined();
  }
  expect(withoutServer(withServer("a://b", "x/y z"), "x/y z")).toBe("a://b");
  expect(withServer("no uri", "gh")).toBe("no uri");
});

test("which URIs a template could have made", () => {
  const rows: [template: string, uri: string, fits: boolean][] = [
    ["test://static", "test://static", true],
    ["test://static", "test://static/more", false],
    ["test://{id}/data", "test://12/data", true],
    ["test://{id}/data", "test:///data", false],
    ["test://{id}/data", "test://1/2/data", false],
    ["test://{+path}", "test://1/2/data", true],
    ["test://a{?q}", "test://a", true],
    ["test://a{?q}", "test://a?q=1", true],
    ["test://{a}-{b}", "test://1-2", true],
    ["other://{a}", "test://1", false],
  ];
  for (const [template, uri, fits] of rows)
    expect([template, uri, fitsTemplate(template, uri)]).toEqual([template, uri, fits]);
  const long = `x://${"{a}b".repeat(5_000)}`;
  expect(fitsTemplate(long, `x://${"b".repeat(50_000)}`)).toBe(false);
});
