import { expect, test } from "bun:test";
import { admissible } from "../../src/oauth/users.ts";
import type { UserConfig } from "../../src/config/config.ts";

const USER: UserConfig = {
  password: "secret-word",
  allowedTools: undefined,
  deniedTools: [],
  roles: [],
  email: undefined,
  limits: undefined,
};

test("users who may use only a part of the tools cannot log in while that cannot be held", () => {
  const users = new Map<string, UserConfig>([
    ["free", USER],
    ["star", { ...USER, allowedTools: ["*"] }],
    ["narrow", { ...USER, allowedTools: ["files:*"] }],
    ["nothing", { ...USER, allowedTools: [] }],
    ["denied", { ...USER, deniedTools: ["files:delete"] }],
  ]);
  expect([...admissible({ users, usersFile: undefined }).keys()]).toEqual(["free", "star"]);
  expect([...admissible({ users, usersFile: "/data/users.json" }).keys()]).toEqual([]);
});
