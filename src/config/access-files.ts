import { readFileSync, statSync } from "node:fs";
import type { z } from "zod";
import type { ApiKeyConfig, Config, UserConfig } from "./config.ts";
import { Document } from "./document.ts";
import { isLoopback } from "./listen.ts";
import { readApiKeys, readUser } from "./normalize-access.ts";
import { Problems } from "./problem.ts";
import type { Problem } from "./problem.ts";
import { apiKeys as apiKeysSchema, users as usersSchema } from "./schema-options.ts";
import { validate } from "./validate.ts";

/** Such files are written by hand or by a small script; what is larger was named by mistake. */
const MAX_BYTES = 4 * 1024 * 1024;

/** A file of users or keys; without `entries` it cannot be used. */
export interface AccessFile<T> {
  readonly entries: ReadonlyMap<string, T> | undefined;
  readonly problems: readonly Problem[];
}

/** What tells whether a file may have changed; `""` while there is none. */
export function fileFacts(path: string): string {
  try {
    const { dev, ino, size, mtimeMs } = statSync(path);
    return `${dev} ${ino} ${size} ${mtimeMs}`;
  } catch {
    return "";
  }
}

/** Reads a users file: name or e-mail address, in which `*` may stand, to what this user may do. */
export function readUsersFile(path: string): AccessFile<UserConfig> {
  const { data, problems } = readChecked(path, usersSchema, "users");
  if (data === undefined) return { entries: undefined, problems: problems.list };
  const entries = new Map<string, UserConfig>();
  for (const [name, entry] of Object.entries(data)) {
    const user = readUser(entry, undefined);
    entries.set(name, user);
    if (name.includes("*") && user.password !== undefined)
      problems.warning(["users", name], "a password has no effect for a pattern, which names nobody");
    if (user.allowedTools?.length === 0)
      problems.warning(["users", name], "allowed_tools is empty, so this user can use nothing");
  }
  return { entries, problems: problems.list };
}

/** Reads a file of API keys: key to the client that has it. Keys printed in manuals are left out where others could try them. */
export function readKeysFile(path: string, config: Pick<Config, "oauth" | "listen">): AccessFile<ApiKeyConfig> {
  const { data, problems } = readChecked(path, apiKeysSchema, "apiKeys");
  if (data === undefined) return { entries: undefined, problems: problems.list };
  const given = new Map(
    Object.entries(data).map(([key, entry]) => [key, { clientId: entry.client_id, scopes: entry.scopes ?? ["*"] }]),
  );
  const refusePlaceholders = config.oauth !== undefined || !isLoopback(config.listen);
  return { entries: readApiKeys(given, { refusePlaceholders, problems }), problems: problems.list };
}

/** @param map the word under which messages name entries: keys of `apiKeys` are credentials and are left out of them */
function readChecked<S extends z.ZodType>(
  path: string,
  schema: S,
  map: "users" | "apiKeys",
): { data: z.infer<S> | undefined; problems: Problems } {
  const read: { document?: Document } = {};
  const problems = new Problems(path, (at, what) => read.document?.locate(at.slice(1), what));
  const text = readText(path, problems);
  const parsed = text === undefined ? undefined : Document.parse(text);
  if (parsed !== undefined && "errors" in parsed) {
    for (const error of parsed.errors) {
      const place = { line: error.line, column: error.column };
      problems.error([], error.message, { place });
    }
  }
  if (parsed === undefined || "errors" in parsed) return { data: undefined, problems };
  const { document } = parsed;
  read.document = document;
  for (const { path: at, first, again } of document.duplicates()) {
    const message = `this stands here a second time (first at ${first.line}:${first.column}); the last one counts`;
    problems.warning([map, ...at], message, { place: again });
  }
  const root = document.value();
  if (typeof root === "object" && root !== null && Object.hasOwn(root, PROTO)) {
    problems.warning([map], `"${PROTO}" is not supported as a name and has no effect`);
    delete (root as Record<string, unknown>)[PROTO];
  }
  return { data: validate(schema, root, problems, [map]).data, problems };
}

const PROTO = "__proto__";

function readText(path: string, problems: Problems): string | undefined {
  try {
    const facts = statSync(path);
    if (!facts.isFile()) problems.error([], "this is no regular file");
    else if (facts.size > MAX_BYTES) problems.error([], `the file is larger than ${MAX_BYTES} bytes`);
    else return readFileSync(path, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") problems.error([], "the file does not exist", { code: "config.not_found" });
    else problems.error([], `the file cannot be read (${code ?? "unknown"})`, { code: "config.unreadable" });
  }
  return undefined;
}
