import { describe, expect, test } from "bun:test";
import { ClientAddress, isDirectLoopback } from "../../src/http/client-address.ts";

type Settings = ConstructorParameters<typeof ClientAddress>[0];

const settings = (more: Partial<Settings> = {}): Settings => ({
  trustedProxies: undefined,
  clientAddressHeader: undefined,
  baseURL: undefined,
  tls: undefined,
  ...more,
});

const TLS = { cert: "c", key: "k" };
const HTTPS = "https://mcp.example.com";

describe("the client's address", () => {
  const rows: [
    what: string,
    more: Partial<Settings>,
    peer: string | null,
    headers: Record<string, string>,
    expected: string,
  ][] = [
    ["is the peer's, without headers", {}, "203.0.113.5", {}, "203.0.113.5"],
    [
      "is the peer's when a stranger sends headers",
      {},
      "203.0.113.5",
      { "X-Forwarded-For": "1.2.3.4", "X-Real-IP": "1.2.3.4" },
      "203.0.113.5",
    ],
    ["is the hop that loopback names", {}, "127.0.0.1", { "X-Forwarded-For": "203.0.113.5" }, "203.0.113.5"],
    ["is the hop that ::1 names", {}, "::1", { "X-Forwarded-For": "203.0.113.5" }, "203.0.113.5"],
    ["is not what a private peer says without https", {}, "10.0.0.2", { "X-Forwarded-For": "203.0.113.5" }, "10.0.0.2"],
    [
      "is what a private peer says with an https baseURL",
      { baseURL: HTTPS },
      "10.0.0.2",
      { "X-Forwarded-For": "203.0.113.5" },
      "203.0.113.5",
    ],
    [
      "is not what a private peer says with TLS of our own",
      { baseURL: HTTPS, tls: TLS },
      "10.0.0.2",
      { "X-Forwarded-For": "203.0.113.5" },
      "10.0.0.2",
    ],
    [
      "is not what a public peer says with an https baseURL",
      { baseURL: HTTPS },
      "8.8.8.8",
      { "X-Forwarded-For": "203.0.113.5" },
      "8.8.8.8",
    ],
    [
      "is the last hop that is not trusted",
      { baseURL: HTTPS },
      "127.0.0.1",
      { "X-Forwarded-For": "6.6.6.6, 203.0.113.5, 10.0.0.7" },
      "203.0.113.5",
    ],
    [
      "is not the first hop, which anybody writes",
      {},
      "127.0.0.1",
      { "X-Forwarded-For": "6.6.6.6, 203.0.113.5" },
      "203.0.113.5",
    ],
    [
      "is the peer's where nobody is trusted",
      { trustedProxies: [] },
      "127.0.0.1",
      { "X-Forwarded-For": "203.0.113.5" },
      "127.0.0.1",
    ],
    [
      "is what a listed proxy says",
      { trustedProxies: ["198.51.100.0/24"] },
      "198.51.100.9",
      { "X-Forwarded-For": "203.0.113.5" },
      "203.0.113.5",
    ],
    [
      "is loopback's own where only others are listed",
      { trustedProxies: ["198.51.100.9"] },
      "127.0.0.1",
      { "X-Forwarded-For": "203.0.113.5" },
      "127.0.0.1",
    ],
    [
      "is read from Forwarded",
      {},
      "127.0.0.1",
      { Forwarded: 'for=6.6.6.6, for="[2001:db8::7]:4711";proto=https' },
      "2001:db8::7",
    ],
    [
      "is X-Forwarded-For's before X-Real-IP's",
      {},
      "127.0.0.1",
      { "X-Forwarded-For": "203.0.113.5", "X-Real-IP": "6.6.6.6" },
      "203.0.113.5",
    ],
    [
      "is X-Real-IP's without a chain",
      {},
      "127.0.0.1",
      { "X-Real-IP": "203.0.113.5", "CF-Connecting-IP": "6.6.6.6" },
      "203.0.113.5",
    ],
    ["is True-Client-IP's", {}, "127.0.0.1", { "True-Client-IP": "203.0.113.5" }, "203.0.113.5"],
    ["is CF-Connecting-IP's", {}, "127.0.0.1", { "CF-Connecting-IP": "203.0.113.5" }, "203.0.113.5"],
    ["is X-Cluster-Client-IP's", {}, "127.0.0.1", { "X-Cluster-Client-IP": "203.0.113.5" }, "203.0.113.5"],
    [
      "is the chosen header's alone",
      { clientAddressHeader: "CF-Connecting-IP" },
      "127.0.0.1",
      { "CF-Connecting-IP": "203.0.113.5", "X-Forwarded-For": "6.6.6.6" },
      "203.0.113.5",
    ],
    [
      "is the peer's when the chosen header is missing",
      { clientAddressHeader: "CF-Connecting-IP" },
      "127.0.0.1",
      { "X-Forwarded-For": "6.6.6.6" },
      "127.0.0.1",
    ],
    [
      "is not the chosen header's from a stranger",
      { clientAddressHeader: "CF-Connecting-IP" },
      "203.0.113.5",
      { "CF-Connecting-IP": "6.6.6.6" },
      "203.0.113.5",
    ],
    ["has no port and no mapping", {}, "::ffff:127.0.0.1", { "X-Forwarded-For": "203.0.113.5:4711" }, "203.0.113.5"],
    ["is what stands behind a Unix socket's proxy", {}, null, { "X-Forwarded-For": "203.0.113.5" }, "203.0.113.5"],
    ["is not nonsense", {}, "127.0.0.1", { "X-Forwarded-For": "6.6.6.6, not an address" }, "127.0.0.1"],
    ["is no empty hop", {}, "127.0.0.1", { "X-Forwarded-For": "203.0.113.5, " }, "127.0.0.1"],
  ];
  for (const [what, more, peer, headers, expected] of rows) {
    test(what, () => {
      expect(new ClientAddress(settings(more)).of(peer, new Headers(headers))).toBe(expected);
    });
  }
});

describe("direct loopback", () => {
  test("is loopback of every kind without a forwarding header", () => {
    for (const peer of ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
      expect(isDirectLoopback(peer, new Headers())).toBeTrue();
    for (const peer of ["10.0.0.1", "8.8.8.8", "::", "::ffff:8.8.8.8", "", null])
      expect(isDirectLoopback(peer, new Headers())).toBeFalse();
  });
  test("is nothing that was forwarded", () => {
    for (const name of [
      "Forwarded",
      "X-Forwarded-For",
      "X-Real-IP",
      "CF-Connecting-IP",
      "True-Client-IP",
      "X-Cluster-Client-IP",
      "Via",
    ]) {
      expect(isDirectLoopback("127.0.0.1", new Headers({ [name]: "x" }))).toBeFalse();
    }
  });
  test("is nothing that a proxy sent with only the other forwarding headers", () => {
    for (const name of ["X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Server", "X-Forwarded-Port"]) {
      expect([name, isDirectLoopback("127.0.0.1", new Headers({ [name]: "x" }))]).toEqual([name, false]);
    }
  });
});
