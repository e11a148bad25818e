import type { UserConfig } from "../../src/config/config.ts";

/** A user of a configuration about whom nothing is said but `more`. */
export function user(more: Partial<UserConfig> = {}): UserConfig {
  return {
    password: undefined,
    allowedTools: undefined,
    deniedTools: [],
    roles: [],
    email: undefined,
    limits: undefined,
    ...more,
  };
}
