import { resolve } from "node:path";
import { Accounts } from "../auth/accounts.ts";
import { readKeysFile, readUsersFile } from "../config/access-files.ts";
import type { Config } from "../config/config.ts";
import type { Loaded } from "../config/context.ts";
import { Problems } from "../config/problem.ts";
import type { Problem } from "../config/problem.ts";
import { IdlePatterns } from "../policy/idle-patterns.ts";

/** What was read, with what is wrong with the files of users and API keys that the configuration names. */
export function withAccessFiles(loaded: Loaded, cwd: string): Loaded {
  const { config } = loaded;
  if (config === undefined) return loaded;
  const known = new Set(loaded.problems.map(({ file, line, message }) => JSON.stringify([file, line, message])));
  const more = accessProblems(config, cwd).filter(
    ({ file, line, message }) => !known.has(JSON.stringify([file, line, message])),
  );
  return more.length === 0 ? loaded : { ...loaded, problems: [...loaded.problems, ...more] };
}

function accessProblems(config: Config, cwd: string): Problem[] {
  const { usersFile, apiKeysFile } = config;
  const users = usersFile === undefined ? undefined : readUsersFile(resolve(cwd, usersFile));
  const keys = apiKeysFile === undefined ? undefined : readKeysFile(resolve(cwd, apiKeysFile), config);
  const said = [...named(users?.problems ?? [], usersFile), ...named(keys?.problems ?? [], apiKeysFile)];
  const collect = new Problems(config.source);
  const accounts = new Accounts();
  accounts.replace(config.users, usersFile === undefined ? undefined : (users?.entries ?? "unread"));
  for (const name of accounts.unbounded) {
    collect.warning(["mcpProxy", "users", name], "this user is not in the users file, and may use everything", {
      hint: "give this entry allowed_tools of its own",
    });
  }
  const idle = new IdlePatterns();
  const rules = [...config.users.values(), ...(users?.entries?.values() ?? [])];
  const scopes = [...(config.apiKeys?.values() ?? []), ...(keys?.entries?.values() ?? [])];
  idle.expect([
    ...rules.flatMap(({ allowedTools = [], deniedTools }) => [...allowedTools, ...deniedTools]),
    ...scopes.flatMap((each) => each.scopes),
    ...[...config.groups.values()].flatMap(({ tools = [] }) => tools),
  ]);
  // Which tools they have only the servers could say, and none is started.
  const servers = [...config.servers.keys()].map((name) => ({ name, tools: undefined }));
  for (const text of idle.look(servers)) collect.warning([], text);
  return [...said, ...collect.list];
}

/** As the configuration names the file; one that is not there yet lets nobody in until it is, and stops nothing. */
function named(problems: readonly Problem[], file = ""): Problem[] {
  return problems.map((problem) =>
    problem.code === "config.not_found"
      ? { ...problem, file, severity: "warning", hint: "until it is there, it lets nobody in" }
      : { ...problem, file },
  );
}
