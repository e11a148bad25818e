import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const KEY_BYTES = 32;

export interface SealingKeys {
  /** The first seals, all open. */
  readonly keys: readonly [Uint8Array, ...Uint8Array[]];
  /** Set when the key lives only as long as this process. */
  readonly warning: string | undefined;
}

/**
 * Finds the key that seals session ids: from the environment, else from a file made once.
 * @param secret value of MCP_PROXY_SECRET
 * @param oldSecret value of MCP_PROXY_SECRET_OLD, which still opens
 * @throws Error when a secret is given and is not 32 bytes in base64
 */
export function loadSealingKeys(
  secret: string | undefined,
  oldSecret: string | undefined,
  directory: string,
): SealingKeys {
  const old = oldSecret === undefined || oldSecret === "" ? [] : [decode(oldSecret, "MCP_PROXY_SECRET_OLD")];
  if (secret !== undefined && secret !== "")
    return { keys: [decode(secret, "MCP_PROXY_SECRET"), ...old], warning: undefined };
  const file = join(directory, "secret.key");
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    return { keys: [readOrMake(file), ...old], warning: undefined };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const warning =
      `the key for session ids cannot be kept in ${file} (${why}); sessions will not survive a restart. ` +
      "Make the directory writable, or set MCP_PROXY_SECRET to 32 bytes in base64";
    return { keys: [randomBytes(KEY_BYTES), ...old], warning };
  }
}

function readOrMake(file: string): Uint8Array {
  const fresh = randomBytes(KEY_BYTES);
  try {
    // Exclusive and closed to others from the first byte: two proxies that start together end up with one key.
    writeFileSync(file, fresh.toString("base64"), { mode: 0o600, flag: "wx" });
    return fresh;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  // A key that others can read lets them make sessions; one that was copied here may be open.
  chmodSync(file, 0o600);
  const key = Buffer.from(readFileSync(file, "utf8").trim(), "base64");
  if (key.length !== KEY_BYTES) throw new Error("the file does not hold 32 bytes in base64");
  return key;
}

function decode(secret: string, variable: string): Uint8Array {
  const key = Buffer.from(secret, "base64");
  if (key.length !== KEY_BYTES) {
    throw new Error(`${variable} must be 32 bytes in base64; make one with: openssl rand -base64 32`);
  }
  return key;
}
