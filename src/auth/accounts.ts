import type { UserConfig } from "../config/config.ts";
import { fits } from "../policy/patterns.ts";
import { Rights } from "../policy/rights.ts";
import type { Rule } from "../policy/rights.ts";

/** Users as whoever logs them in sees them. */
export interface UserSource {
  /** What is known of somebody: the sum of all places that name him; undefined for who may not log in. */
  find(name: string): UserConfig | undefined;
  /** Everybody named one by one; those that only fit a pattern are not in here. */
  all(): Iterable<readonly [string, UserConfig]>;
}

const NOTHING: Rule = { allowed: [], denied: [] };

/**
 * The users, from the configuration and from the users file, as they are now. A password comes from the configuration
 * first, tools from the file first; what is denied anywhere is denied.
 */
export class Accounts implements UserSource {
  #configured: Named = new Named(new Map());
  /** Undefined: no file is configured. `"unread"`: one is, and could never be read, so nobody is let in. */
  #file: Named | undefined | "unread";
  /** One for each user that was ever asked for; changed in place. */
  readonly #rights = new Map<string, Rights>();
  readonly #admitted = new Map<string, boolean>();
  #version = 0;

  /** Another number whenever anybody may have been added, changed or removed. */
  get version(): number {
    return this.#version;
  }

  /** @param file undefined: there is none; `"unread"`: it could not be read yet. @returns users whose rights have changed */
  replace(
    configured: ReadonlyMap<string, UserConfig>,
    file: ReadonlyMap<string, UserConfig> | undefined | "unread",
  ): string[] {
    this.#configured = new Named(configured);
    this.#file = file === undefined || file === "unread" ? file : new Named(file);
    this.#admitted.clear();
    this.#version++;
    const changed: string[] = [];
    for (const [name, rights] of this.#rights) if (rights.replace(this.#ruleOf(name))) changed.push(name);
    return changed;
  }

  find(name: string): UserConfig | undefined {
    const configured = this.#configured.get(name) ?? withoutPassword(this.#configured.fitting(name));
    if (this.#file === undefined) return configured;
    if (this.#file === "unread") return undefined;
    const filed = entryIn(this.#file, name, configured?.email);
    if (filed === undefined) return configured;
    // Nobody's own entry: a password in it would let in everybody who knows it, under any name.
    const own = this.#file.get(name) === filed ? filed.password : undefined;
    return {
      password: configured?.password ?? own,
      allowedTools: filed.allowedTools ?? configured?.allowedTools,
      deniedTools: [...new Set([...filed.deniedTools, ...(configured?.deniedTools ?? [])])],
      roles: filed.roles.length > 0 ? filed.roles : (configured?.roles ?? []),
      email: filed.email ?? configured?.email,
      limits: filed.limits ?? configured?.limits,
    };
  }

  *all(): Iterable<readonly [string, UserConfig]> {
    const filed = this.#file === undefined || this.#file === "unread" ? [] : this.#file.names();
    for (const name of new Set([...this.#configured.names(), ...filed])) {
      const user = name.includes("*") ? undefined : this.find(name);
      if (user !== undefined) yield [name, user];
    }
  }

  /** What somebody may use, now and whenever it is looked at later. */
  rightsOf(name: string): Rights {
    let rights = this.#rights.get(name);
    if (rights === undefined) {
      rights = new Rights(this.#ruleOf(name));
      this.#rights.set(name, rights);
    }
    return rights;
  }

  /** Whether somebody who has logged in may still come in; asked at each request. */
  admits(name: string): boolean {
    let admitted = this.#admitted.get(name);
    if (admitted === undefined) {
      admitted = this.find(name) !== undefined;
      this.#admitted.set(name, admitted);
    }
    return admitted;
  }

  /** A users file is configured that could never be read: nobody comes in, but nobody's login is taken for ended. */
  get unread(): boolean {
    return this.#file === "unread";
  }

  /**
   * Users of the configuration whom no entry of the users file names and no rule of their own holds back: by the sum of
   * both they may use everything, which somebody who took them out of the file may not expect.
   */
  get unbounded(): string[] {
    if (this.#file === undefined || this.#file === "unread") return [];
    const file = this.#file;
    return [...this.#configured.names()].filter((name) => {
      const own = this.#configured.get(name);
      return own !== undefined && own.allowedTools === undefined && entryIn(file, name, own.email) === undefined;
    });
  }

  #ruleOf(name: string): Rule {
    const user = this.find(name);
    return user === undefined ? NOTHING : { allowed: user.allowedTools, denied: user.deniedTools };
  }
}

/** Somebody's entry in the users file: under his name, his address, or a pattern that fits. */
function entryIn(file: Named, name: string, email: string | undefined): UserConfig | undefined {
  return file.get(name) ?? (email ? file.get(email) : undefined) ?? file.fitting(name);
}

/** A pattern is nobody's own entry: a password in it would let in everybody who knows it, under any name. */
function withoutPassword(entry: UserConfig | undefined): UserConfig | undefined {
  return entry === undefined ? undefined : { ...entry, password: undefined };
}

/** Entries by name. E-mail addresses are found in any case, for providers write them as they like. */
class Named {
  readonly #entries: ReadonlyMap<string, UserConfig>;
  readonly #addresses = new Map<string, UserConfig>();
  /** The most exact one first. */
  readonly #patterns: (readonly [pattern: string, entry: UserConfig])[] = [];

  constructor(entries: ReadonlyMap<string, UserConfig>) {
    this.#entries = entries;
    for (const [name, entry] of entries) {
      if (name.includes("*")) this.#patterns.push([name.toLowerCase(), entry]);
      else if (name.includes("@")) this.#addresses.set(name.toLowerCase(), entry);
    }
    this.#patterns.sort(([a], [b]) => b.length - a.length);
  }

  names(): Iterable<string> {
    return this.#entries.keys();
  }

  get(name: string): UserConfig | undefined {
    if (name.includes("*")) return undefined;
    return this.#entries.get(name) ?? (name.includes("@") ? this.#addresses.get(name.toLowerCase()) : undefined);
  }

  fitting(name: string): UserConfig | undefined {
    const text = name.toLowerCase();
    return this.#patterns.find(([pattern]) => fits(pattern, text))?.[1];
  }
}
