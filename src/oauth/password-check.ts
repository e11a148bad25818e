import type { Log } from "../telemetry/log.ts";
import type { LoginMeter } from "../telemetry/meters.ts";
import type { LoginThrottle } from "./throttle.ts";
import { Overloaded } from "./users.ts";
import type { Users } from "./users.ts";

const MAX_NAME = 256;
const MAX_PASSWORD = 1_024;

/** What became of somebody's try to log in; a refusal has what the form has to say. */
export type PasswordResult =
  | { readonly right: true; readonly username: string }
  | {
      readonly right: false;
      readonly username: string;
      readonly status: 400 | 401 | 429;
      readonly message: string;
      /** Seconds. */
      readonly retryAfter?: number;
    };

/** The one way a password is tried, wherever its form stands: the throttle counts all of them together. */
export class PasswordCheck {
  readonly #users: Users;
  readonly #throttle: LoginThrottle;
  readonly #log: Log;
  readonly #meter: LoginMeter;

  constructor(users: Users, throttle: LoginThrottle, log: Log, meter: LoginMeter) {
    this.#users = users;
    this.#throttle = throttle;
    this.#log = log;
    this.#meter = meter;
  }

  /** @param about fields for the log */
  async try(
    name: string | undefined,
    password: string | undefined,
    address: string,
    about: object = {},
  ): Promise<PasswordResult> {
    const username = (name ?? "").slice(0, MAX_NAME);
    if (username === "" || password === undefined || password === "") {
      return { right: false, username, status: 400, message: "Enter your user name and your password." };
    }
    const attempt = this.#throttle.begin(username, address);
    if (!("succeeded" in attempt)) {
      this.#meter.logins.throttled++;
      this.#log.warn({ address }, "logins are slowed down: too many wrong passwords");
      const message = `Too many wrong passwords. Try again in ${duration(attempt.again)}.`;
      return { right: false, username, status: 429, message, retryAfter: attempt.again };
    }
    let right: boolean;
    try {
      right = password.length <= MAX_PASSWORD && (await this.#users.check(username, password));
    } catch (error) {
      if (!(error instanceof Overloaded)) throw error;
      attempt.succeeded();
      const message = "Too many people log in at this moment. Try again.";
      return { right: false, username, status: 429, message, retryAfter: 5 };
    }
    if (!right) {
      this.#meter.logins.wrong_password++;
      this.#log.warn({ address, ...about }, "a login failed: wrong user name or password");
      return { right: false, username, status: 401, message: "User name or password is wrong." };
    }
    attempt.succeeded();
    this.#meter.logins.ok++;
    return { right: true, username: this.#users.nameOf(username) };
  }
}

function duration(seconds: number): string {
  if (seconds < 90) return `${seconds} seconds`;
  return `${Math.ceil(seconds / 60)} minutes`;
}
