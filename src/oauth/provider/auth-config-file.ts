import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Log } from "../../telemetry/log.ts";

/** Follows the variables until somebody edits it; the secret stays in the environment. */
const SETTINGS = {
  provider: "auth0",
  auth0: {
    domain: "${AUTH0_DOMAIN}",
    jwks_uri: "https://${AUTH0_DOMAIN}/.well-known/jwks.json",
    issuer: "https://${AUTH0_DOMAIN}/",
    audience: "${AUTH0_AUDIENCE}",
  },
};

/** Makes the `auth_config.json` of the Python program where there is none. It is a convenience: no start fails for it. */
export function writeAuthConfig(file: string, log: Log): void {
  try {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `${JSON.stringify(SETTINGS, undefined, 2)}\n`, { flag: "wx", mode: 0o644 });
    log.info({ file }, "made a file with the settings of the identity provider; edit it to use others");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "EEXIST")
      log.info({ file, code }, "the settings of the identity provider come from the environment only");
  }
}
