import { elements, members } from "../json.ts";
import { skipSpace } from "../strict-json.ts";

/**
 * Members of JSON objects that are given as text: what is not touched keeps every character, which a number beyond
 * 2^53 needs.
 */

/** Raw value of a member, undefined when there is none or the text is no object. */
export function getKey(object: string, key: string): string | undefined {
  const member = members(object, skipSpace(object, 0))?.findLast((each) => each.key === key);
  return member === undefined ? undefined : object.slice(member.start, member.end);
}

/** The object with a member set to a raw value; at the end where it is new. */
export function setKey(object: string, key: string, value: string): string {
  const at = skipSpace(object, 0);
  const all = members(object, at);
  if (all === undefined) return object;
  const known = all.findLast((each) => each.key === key);
  if (known !== undefined) return object.slice(0, known.start) + value + object.slice(known.end);
  const last = all.at(-1);
  const end = last === undefined ? at + 1 : last.end;
  return `${object.slice(0, end)}${last === undefined ? "" : ","}${JSON.stringify(key)}:${value}${object.slice(end)}`;
}

/** The object without the members that `drop` names; the same text when there are none. */
export function removeKeys(object: string, drop: (key: string) => boolean): string {
  const all = members(object, skipSpace(object, 0));
  if (all === undefined || !all.some((each) => drop(each.key))) return object;
  const kept = all.filter((each) => !drop(each.key));
  return `{${kept.map((each) => object.slice(each.keyStart, each.end)).join(",")}}`;
}

/** The object with one member changed by `change`, which gets its raw value and may drop it by returning undefined. */
export function changeKey(object: string, key: string, change: (value: string) => string | undefined): string {
  const value = getKey(object, key);
  if (value === undefined) return object;
  const changed = change(value);
  if (changed === value) return object;
  return changed === undefined ? removeKeys(object, (each) => each === key) : setKey(object, key, changed);
}

/** Takes keys out of `_meta`, and `_meta` with them when nothing else stood there. */
export function removeMeta(object: string, drop: (key: string) => boolean): string {
  return changeKey(object, "_meta", (meta) => {
    const rest = removeKeys(meta, drop);
    return rest === meta || !isEmpty(rest) ? rest : undefined;
  });
}

/** Sets a key of `_meta`; what is no object there is replaced. */
export function setMeta(object: string, key: string, value: string): string {
  const meta = getKey(object, "_meta");
  return setKey(object, "_meta", setKey(meta !== undefined && isObject(meta) ? meta : "{}", key, value));
}

/** An array with each element changed; the same text when it is no array. */
export function mapArray(array: string, change: (element: string) => string): string {
  const all = elements(array, skipSpace(array, 0));
  if (all === undefined) return array;
  return `[${all.map((each) => change(array.slice(each.start, each.end))).join(",")}]`;
}

export function isObject(text: string): boolean {
  return text.charCodeAt(skipSpace(text, 0)) === 123;
}

export function isEmpty(object: string): boolean {
  return members(object, skipSpace(object, 0))?.length === 0;
}

/** The string a raw value is, undefined when it is another kind of value. */
export function asString(value: string | undefined): string | undefined {
  return value?.startsWith('"') === true ? (JSON.parse(value) as string) : undefined;
}
