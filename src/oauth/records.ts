import { isRecord } from "../protocol/parsed.ts";
import type { StateEntry } from "../store/state-store.ts";
import type { Client } from "./clients.ts";
import type { Grant } from "./grant.ts";

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
  if (!isRecord(value)) return false;
  const { client, scopes, pairs, retired, code } = value;
  return (
    typeof client === "string" &&
    Array.isArray(scopes) &&
    Array.isArray(pairs) &&
    pairs.every((pair) => isRecord(pair) && Array.isArray(pair["scopes"])) &&
    Array.isArray(retired) &&
    (code === undefined || isRecord(code))
  );
}

export function isClient(value: unknown): value is Client {
  if (!isRecord(value)) return false;
  const { made, metadata } = value;
  return (
    typeof made === "number" &&
    isRecord(metadata) &&
    Array.isArray(metadata["redirect_uris"]) &&
    Array.isArray(metadata["grant_types"])
  );
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
