import { z } from "zod";
import { options } from "./schema-options.ts";
import { duration, headerName, headerValue, limits, text, timeout, transport, VARIABLE_NAME } from "./schema-parts.ts";

const environment = z.record(
  z.string().refine((name) => VARIABLE_NAME.test(name), { error: "this is no name of an environment variable" }),
  z.union([z.string(), z.number(), z.boolean()]),
);

/** `command` and `url` may be empty here: that server fails by itself, with its endpoint saying why. */
export const server = z.strictObject({
  command: z.string().optional().describe("the program to start; arguments go into args"),
  args: z.array(z.union([z.string(), z.number()])).optional(),
  env: environment.optional(),
  cwd: text.optional(),
  passEnvironment: z.boolean().optional().describe("hand on the proxy's whole environment"),
  headerToEnv: z
    .record(
      headerName,
      text.refine((name) => VARIABLE_NAME.test(name)),
    )
    .optional(),
  url: z.string().optional(),
  transportType: transport.optional(),
  transport: transport.optional(),
  type: transport.optional(),
  headers: z.record(headerName, headerValue).optional(),
  forwardHeaders: z.array(headerName).optional(),
  verifyTls: z.boolean().optional(),
  oauth: z.strictObject({ clientId: text, clientSecret: text, tokenUrl: text, scope: text.optional() }).optional(),
  isolation: z.enum(["auto", "shared", "user", "session"]).optional(),
  maxConnections: z.int().min(1).optional(),
  roots: z.boolean().optional(),
  connectTimeout: duration.optional(),
  timeout: timeout.optional(),
  prefix: z
    .string()
    .regex(/^[A-Za-z0-9_-]*$/, { error: "expected letters, digits, _ or -" })
    .optional(),
  limits: limits.optional(),
  enabled: z.boolean().optional(),
  disabled: z.boolean().optional(),
  description: z.string().optional(),
  options: options.optional(),
});

export type ServerFile = z.infer<typeof server>;
