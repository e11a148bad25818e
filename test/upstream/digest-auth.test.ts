import { expect, test } from "bun:test";
import { DigestAuth } from "../../src/upstream/digest-auth.ts";

const URL_OF = "http://www.example.org/dir/index.html";
const challenge = (algorithm: string, more = 'qop="auth, auth-int"'): string =>
  `Digest realm="http-auth@example.org", ${more}, algorithm=${algorithm}, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"`;
const mufasa = () =>
  new DigestAuth(
    { username: "Mufasa", password: "Circle of Life" },
    () => "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
  );

/** What RFC 7616 section 3.9.1 gives. */
const MD5 = "8ca523f5e9506fed4657c9700eebdbec";
const SHA256 = "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1";

test.each([
  ["MD5", challenge("MD5"), MD5],
  ["SHA-256", challenge("SHA-256"), SHA256],
  ["the strongest of several", `Basic realm="a, b", ${challenge("MD5")}, ${challenge("SHA-256")}`, SHA256],
])("the examples of RFC 7616 section 3.9.1: %s", (_, header, response) => {
  const auth = mufasa();
  expect(auth.learn(header)).toBe(true);
  const sent = auth.authorization("GET", URL_OF);
  for (const part of [
    `response="${response}"`,
    'username="Mufasa"',
    'realm="http-auth@example.org"',
    'uri="/dir/index.html"',
    "nc=00000001",
    "qop=auth",
    'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"',
  ])
    expect(sent).toContain(part);
  expect(auth.authorization("GET", URL_OF)).toContain("nc=00000002");
  // The same nonce once more goes on being counted.
  auth.learn(header);
  expect(auth.authorization("GET", URL_OF)).toContain("nc=00000003");
});

test("a server that names neither algorithm nor qop (the example of RFC 2069 section 2.4, corrected by its errata)", () => {
  const auth = new DigestAuth({ username: "Mufasa", password: "CircleOfLife" });
  auth.learn('Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"');
  const sent = auth.authorization("GET", URL_OF);
  expect(sent).toContain('response="1949323746fe6a43ef61f9606e7febea"');
  expect(sent).not.toMatch(/nc=|qop=|algorithm=/);
});

test.each([
  null,
  "",
  'Basic realm="x"',
  'Bearer realm="Digest realm=x, nonce=y"',
  'Digest realm="x"',
  challenge("SHA-1"),
  challenge("MD5", 'qop="auth-int"'),
  'Digest realm="never closed',
])("no challenge that can be answered: %s", (header) => {
  const auth = mufasa();
  expect(auth.learn(header)).toBe(false);
  expect(auth.authorization("GET", URL_OF)).toBeUndefined();
});

test("names and realms that do not fit into a header as they are", () => {
  const auth = new DigestAuth({ username: "Jäsøn (1)", password: "p" });
  auth.learn('digest realm="a \\"b\\" \\\\c", nonce="n", qop=auth');
  const sent = auth.authorization("GET", URL_OF);
  expect(sent).toContain("username*=UTF-8''J%C3%A4s%C3%B8n%20%281%29");
  expect(sent).toContain('realm="a \\"b\\" \\\\c"');
});
