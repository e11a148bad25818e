import { z } from "zod";
import { apiKeys, identityProvider, options, users } from "./schema-options.ts";
import { addressRange, count, headerName, limits, publicUrlOrNothing, servedType, text } from "./schema-parts.ts";
import { server } from "./schema-server.ts";

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "silent"] as const;

export const mcpProxy = z.strictObject({
  baseURL: publicUrlOrNothing.optional().describe("public URL, may have a path"),
  addr: z.string().optional().describe("host:port, :port, or unix:/path"),
  name: z.string().optional(),
  version: z.string().optional(),
  type: servedType.optional().describe("only this kind of endpoint is served; absent: both"),
  stateless: z.boolean().optional(),
  liveReload: z.boolean().optional(),
  pathPrefix: z.string().optional(),
  allowedHosts: z.array(text).optional(),
  allowedOrigins: z.array(text).optional(),
  trustedProxies: z.array(addressRange).optional(),
  clientAddressHeader: headerName.optional(),
  maxRequestBytes: z.int().min(1024).optional(),
  log: z
    .strictObject({ level: z.enum(LOG_LEVELS).optional(), format: z.enum(["auto", "pretty", "json"]).optional() })
    .optional(),
  startPage: z.enum(["private", "public", "off"]).optional(),
  tls: z.strictObject({ cert: text, key: text }).optional(),
  socketMode: z
    .string()
    .regex(/^0?[0-7]{3}$/, { error: 'expected an octal mode such as "660"' })
    .optional(),
  limits: limits.optional(),
  sessionIdleMinutes: z.number().gt(0).max(525_600).optional(),
  sessionMaxDays: z.number().gt(0).max(3650).optional(),
  drainSeconds: z.number().min(0).max(86_400).optional(),
  maxMessageBytes: z.int().min(1024).optional(),
  replayEvents: count.optional(),
  replayBytes: count.optional(),
  audit: z.strictObject({ file: text.optional() }).optional(),
  aggregate: z
    .strictObject({
      enabled: z.boolean().optional(),
      separator: z
        .string()
        .regex(/^[A-Za-z0-9_-]+$/, { error: "expected letters, digits, _ or -, which tool names may hold" })
        .optional(),
      prefixSingle: z.boolean().optional(),
    })
    .optional(),
  users: users.optional(),
  usersFile: text.optional(),
  apiKeys: apiKeys.optional(),
  apiKeysFile: text.optional(),
  identityProvider: identityProvider.optional(),
  options: options.optional(),
});

export const group = z.strictObject({
  servers: z.array(text),
  tools: z.array(text).optional(),
  options: options.optional(),
});

/** The file as documented; bare `mcpServers` is the same without `mcpProxy`. */
export const configFile = z.strictObject({
  $schema: z.string().optional(),
  mcpProxy: mcpProxy.optional(),
  mcpServers: z.record(z.string(), server).optional(),
  groups: z.record(z.string(), group).optional(),
});

const oldClientFields = {
  panicIfInvalid: z.boolean().optional(),
  logEnabled: z.boolean().optional(),
  authTokens: z.array(text).optional(),
};

/** The first format of the Go program. `type` is free text: an unknown one leaves that client out. */
export const oldServer = z.strictObject({
  baseURL: publicUrlOrNothing.optional(),
  addr: z.string().optional(),
  name: z.string().optional(),
  version: z.string().optional(),
  globalAuthTokens: z.array(text).optional(),
});
export const oldClient = z.strictObject({
  type: z.string().optional(),
  config: server.pick({ command: true, args: true, env: true, url: true, headers: true, timeout: true }).optional(),
  ...oldClientFields,
});

/** What a file may hold in all its ages; the published schema shows the present one only. */
export const anyFile = configFile.extend({
  server: oldServer.optional(),
  clients: z.record(z.string(), oldClient).optional(),
});

export type ConfigFile = z.infer<typeof configFile>;
export type AnyFile = z.infer<typeof anyFile>;
export type ProxyFile = z.infer<typeof mcpProxy>;
