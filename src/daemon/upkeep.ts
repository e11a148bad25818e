import { settleWhenIdle } from "../telemetry/settle.ts";
import type { AccessWatch } from "./access-watch.ts";
import type { Base } from "./base.ts";
import { switchboardsOf } from "./house.ts";
import type { House } from "./house.ts";
import type { LoginKeeper } from "./login-keeper.ts";

const SWEEP_MS = 10_000;
const LOGIN_SWEEP_MS = 60_000;

export interface UpkeepDeps {
  readonly base: Base;
  readonly house: () => House;
  readonly logins: LoginKeeper;
  readonly access: AccessWatch;
  /** Calls in flight. */
  readonly open: () => number;
}

/**
 * What is looked at again and again: what has grown old, files of users and keys, memory after a peak.
 * @returns ends that
 */
export async function startUpkeep({ base, house, logins, access, open }: UpkeepDeps): Promise<() => void> {
  const { clock, log, directory, sessions } = base;
  const ends = [
    directory.watch((change) => {
      logins.endForeign();
      access.changed(change);
    }),
    clock.every(SWEEP_MS, () => {
      sessions.sweep();
      for (const switchboard of switchboardsOf(house())) switchboard.sweep();
      access.lookAtPatterns();
    }),
    clock.every(LOGIN_SWEEP_MS, () => logins.sweep()),
    settleWhenIdle(clock, () => open() === 0),
  ];
  if (process.pid === 1 && process.platform === "linux") {
    const { startReaper } = await import("../upstream/reaper.ts");
    ends.push(startReaper(clock, log));
  }
  return () => {
    for (const end of ends) end();
  };
}
