import { writeFileSync } from "node:fs";
import { resolve } from "node:path";

/** Where the Python program kept it, in its image. */
const IN_IMAGE = "/data/auth_config.json";

const CONTENT = {
  provider: "auth0",
  auth0: {
    domain: "${AUTH0_DOMAIN}",
    jwks_uri: "https://${AUTH0_DOMAIN}/.well-known/jwks.json",
    issuer: "https://${AUTH0_DOMAIN}/",
    audience: "${AUTH0_AUDIENCE}",
  },
};

/**
 * Writes the file that says who logs users in, for people to change, where it is not there yet. It holds the names of
 * variables and no secret.
 * @returns what to tell the log; undefined when there is nothing to say
 */
export function generateAuthConfig(
  env: Readonly<Record<string, string | undefined>>,
  cwd: string,
): { readonly made: boolean; readonly text: string } | undefined {
  const named = env["MCP_AUTH_CONFIG_PATH"];
  // What stands in the file is used instead of the variables, so one of them missing must not be written down.
  if (!env["AUTH0_DOMAIN"] || !env["AUTH0_AUDIENCE"]) return undefined;
  const path = resolve(cwd, named || IN_IMAGE);
  try {
    writeFileSync(path, `${JSON.stringify(CONTENT, null, 2)}\n`, { flag: "wx", mode: 0o600 });
    return { made: true, text: `${path} was made; it can be changed to name another tenant` };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unknown reason";
    if (code === "EEXIST" || !named) return undefined;
    return { made: false, text: `${path} (MCP_AUTH_CONFIG_PATH) cannot be written (${code}); the variables are used` };
  }
}
