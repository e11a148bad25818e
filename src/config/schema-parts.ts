import ipaddr from "ipaddr.js";
import { z } from "zod";
import { MAX_DURATION_MS, parseDuration } from "./duration.ts";

/** A text that must hold something: an empty one is a mistake everywhere this is used, often a dangerous one. */
export const text = z.string().refine((value) => value.trim() !== "", { error: "must not be empty" });

export const count = z.int().min(0);

const isDuration = (value: string): boolean => parseDuration(value) !== undefined;
const DURATION_HELP = 'expected a duration such as "30s", "5m", "1h30m" or "500ms", at most 24 days';

/** A text with a unit, or seconds. */
export const duration = z.union([
  z
    .number()
    .min(0)
    .max(MAX_DURATION_MS / 1000),
  z.string().refine(isDuration, { error: DURATION_HELP }),
]);

/** Like a duration; the size of a bare number tells its unit. */
export const timeout = z.union([z.number().min(0), z.string().refine(isDuration, { error: DURATION_HELP })]);

/** A URL with a password in it would be shown to everybody, since these URLs are public. */
function isPublicUrl(value: string): boolean {
  const url = URL.parse(value);
  return url !== null && /^https?:$/.test(url.protocol) && url.username === "" && url.search + url.hash === "";
}

const PUBLIC_URL_HELP = "expected an http or https URL without query, fragment, user and password";

/** Where secrets and tokens travel: https, or http on this machine, to try something out. */
export function isSecureUrl(value: string): boolean {
  const url = URL.parse(value);
  if (url === null || !isPublicUrl(value)) return false;
  return url.protocol === "https:" || ["localhost", "127.0.0.1", "[::1]"].includes(url.hostname);
}

export const SECURE_URL_HELP =
  "expected an https URL without query, fragment, user and password (http on this machine only)";
export const secureUrl = z.string().refine(isSecureUrl, { error: SECURE_URL_HELP });
/** An empty text means what an absent key means, as in the Go program. */
export const publicUrlOrNothing = z
  .string()
  .refine((value) => value === "" || isPublicUrl(value), { error: PUBLIC_URL_HELP });

export function isAddressRange(value: string): boolean {
  return ipaddr.isValidCIDR(value) || (ipaddr.isValid(value) && (value.includes(":") || value.split(".").length === 4));
}

export const addressRange = z
  .string()
  .refine(isAddressRange, { error: 'expected an IP address or a range such as "10.0.0.0/8"' });

/** Also the name of a preset. */
export const addressRangeOrPreset = z.string().refine((value) => value === "claude" || isAddressRange(value), {
  error: 'expected an IP address, a range such as "160.79.104.0/21", or "claude"',
});

export const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
export const headerName = z
  .string()
  .refine((value) => HEADER_NAME.test(value), { error: "this is no HTTP header name" });

/** A header value with a line break could smuggle in a second header. */
export const headerValue = z
  .string()
  .refine((value) => !/[\r\n\0]/.test(value), { error: "a header value must not hold a line break" });

export const VARIABLE_NAME = /^[^=\0]+$/;

export const limits = z.strictObject({
  requestsPerMinute: count.optional(),
  concurrent: count.optional(),
});

export const transport = z.enum(["stdio", "sse", "http", "streamable-http", "streamablehttp", "streamableHttp"]);
export const servedType = z.enum(["sse", "http", "streamable-http", "streamablehttp", "streamableHttp"]);
