import { z } from "zod";
import { addressRangeOrPreset, count, limits, secureUrl, text } from "./schema-parts.ts";

/** `mode` is free text on purpose: a filter with an unknown mode is ignored with a warning, as the manual promises. */
export const toolFilter = z.strictObject({
  mode: z.string().optional().describe("allow or block; without it the list has no effect"),
  list: z.array(z.string()).optional(),
});

const BCRYPT = /^\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}$/;
const looksHashed = (value: string): boolean => /^\$2[a-z]?\$/.test(value);

const password = text.refine((value) => !looksHashed(value) || BCRYPT.test(value), {
  error: "this looks like a bcrypt hash but is none; make it again",
});

const patterns = z.array(text);

export const user = z.strictObject({
  name: z.string().optional(),
  password: password.optional(),
  allowed_tools: patterns.optional().describe('patterns "server:tool" with *; absent: everything'),
  denied_tools: patterns.optional(),
  roles: z.array(z.string()).optional(),
  email: z.string().optional(),
  limits: limits.optional(),
});

export const users = z.record(text, z.union([password, user]));

export const apiKeys = z.record(
  text,
  z.strictObject({ client_id: text, scopes: z.array(text).optional().describe('patterns "server:tool" with *') }),
);

export const identityProvider = z.strictObject({
  issuer: secureUrl,
  clientId: text,
  clientSecret: text.optional(),
  audience: text.optional(),
  scopes: z.array(text).optional(),
  jwksUri: secureUrl.optional(),
});

const redirectUri = text.refine((value) => !/^(javascript|data|file|vbscript):/i.test(value.trim()), {
  error: "this kind of URL can run a script or read a file in the browser and is never a redirect target",
});

export const oauth2 = z.strictObject({
  enabled: z.boolean().optional(),
  users: users.optional(),
  persistenceDir: z.string().optional(),
  allowedIPs: z.array(addressRangeOrPreset).optional(),
  tokenExpirationMinutes: z.number().min(0).max(525_600).optional(),
  refreshTokenExpirationDays: z.number().min(0).max(3650).optional(),
  registrationsPerMinute: count.optional(),
  templateDir: z.string().optional(),
  allowedRedirectURIs: z.array(redirectUri).optional(),
  clientIdMetadata: z
    .strictObject({
      enabled: z.boolean().optional(),
      allowedHosts: z.array(text).optional(),
      allowPrivateNetwork: z.boolean().optional(),
    })
    .optional(),
});

/** `mcpProxy.options`, `options` of a server and of a group. */
export const options = z.strictObject({
  panicIfInvalid: z.boolean().optional(),
  logEnabled: z.boolean().optional(),
  authTokens: z.array(text).optional(),
  toolFilter: toolFilter.optional(),
  disabled: z.boolean().optional(),
  oauth2: oauth2.optional(),
});

export type OptionsFile = z.infer<typeof options>;
export type UserFile = z.infer<typeof user> | string;
export type OAuth2File = z.infer<typeof oauth2>;
