const WRAPPED = /^=\?base64\?(.*)\?=$/s;
const PLAIN = /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/**
 * A text as the value of `Mcp-Name` or `Mcp-Param-*` (MCP 2026-07-28, basic/transports/streamable-http): as it is where
 * HTTP can carry it, else wrapped.
 */
export function encodeHeader(value: string): string {
  if (value === "" || (PLAIN.test(value) && !WRAPPED.test(value))) return value;
  return `=?base64?${Buffer.from(value.toWellFormed(), "utf8").toString("base64")}?=`;
}

/** The text a header value stands for; undefined when its wrapper holds no base64 of UTF-8. */
export function decodeHeader(value: string): string | undefined {
  const trimmed = value.replaceAll(/^[ \t]+|[ \t]+$/g, "");
  const wrapped = WRAPPED.exec(trimmed);
  if (wrapped === null) return trimmed;
  const base64 = wrapped[1] as string;
  if (!BASE64.test(base64)) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Buffer.from(base64, "base64"));
  } catch {
    return undefined;
  }
}
