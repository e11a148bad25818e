import type { StateEntry } from "../store/state-store.ts";
import type { Client } from "./clients.ts";
import type { Grant } from "./grant.ts";

type Fields = Readonly<Record<string, unknown>>;

/**
 * What is stored, without what a failing disk or a hand has made unreadable. The store sees damage to its own form, not
 * to a text within it, and one such text must not keep everybody out.
 */
export function readRecords<T extends { readonly id: string }>(
  entries: readonly StateEntry[],
  fits: (value: unknown) => value is T,
): { readonly sound: T[]; readonly damaged: number } {
  const sound: T[] = [];
  for (const { key, value } of entries) {
    const record = parsed(value);
    if (fits(record) && record.id === key[1]) sound.push(record);
  }
  return { sound, damaged: entries.length - sound.length };
}

export function isGrant(value: unknown): value is Grant {
  if (!isObject(value)) return false;
  const { client, scopes, pairs, retired, code } = value;
  return (
    typeof client === "string" &&
    Array.isArray(scopes) &&
    Array.isArray(pairs) &&
    pairs.every((pair) => isObject(pair) && Array.isArray(pair["scopes"])) &&
    Array.isArray(retired) &&
    (code === undefined || isObject(code))
  );
}

export function isClient(value: unknown): value is Client {
  if (!isObject(value)) return false;
  const { made, metadata } = value;
  return (
    typeof made === "number" &&
    isObject(metadata) &&
    Array.isArray(metadata["redirect_uris"]) &&
    Array.isArray(metadata["grant_types"])
  );
}

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
