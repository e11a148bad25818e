import type { CheckIo } from "./check.ts";

const COST = 11;
/** bcrypt sees no more than this. */
const MAX_BYTES = 72;

export interface PasswordIo extends CheckIo {
  /** One line without its end; undefined when there is none. On a terminal it is not shown while it is typed. */
  readonly readSecret: (prompt: string) => Promise<string | undefined>;
}

/**
 * Makes a bcrypt hash of a password, for the configuration. The password comes from standard input, never from the
 * command line, where every user of the machine could read it.
 * @returns the exit code
 */
export async function hashPassword(io: PasswordIo): Promise<number> {
  const password = await io.readSecret("Password: ");
  if (password === undefined || password === "") {
    io.stderr(
      "mcp-proxy: no password was given\n  Try: mcp-proxy hash-password, and type it; or: echo 'the password' | mcp-proxy hash-password\n",
    );
    return 1;
  }
  if (password.includes("\0")) {
    io.stderr("mcp-proxy: a password must not hold the character NUL\n");
    return 1;
  }
  const bytes = Buffer.from(password, "utf8");
  if (bytes.length > MAX_BYTES) {
    io.stderr(
      `warn  the password has ${bytes.length} bytes, and bcrypt sees the first ${MAX_BYTES} only: what follows does not count\n`,
    );
  }
  const { hash } = await import("bcryptjs");
  io.stdout(`${await hash(password, COST)}\n`);
  return 0;
}
