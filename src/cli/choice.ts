import type { Arguments } from "./arguments.ts";
import { UsageError } from "./usage-error.ts";

/** The meaning of a flag with a fixed set of values, in all their spellings. */
export function readChoice<T extends string>(
  given: Arguments,
  name: string,
  choices: Readonly<Record<string, T>>,
  shown: string,
): T | undefined {
  const text = given.text(name);
  if (text === undefined) return undefined;
  const choice = Object.hasOwn(choices, text) ? choices[text] : undefined;
  if (choice === undefined)
    throw new UsageError(`--${name} takes one of: ${shown}`, `--${name} ${shown.split(", ")[0]}`);
  return choice;
}

/** Warnings about flags that another task would read. */
export function withoutEffect(given: Arguments, names: readonly string[], because: string): string[] {
  return names.filter((name) => given.has(name)).map((name) => `--${name} has no effect: ${because}`);
}
