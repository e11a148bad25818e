import { CACHEABLE, MULTI_ROUND, Meta, TASKS_EXTENSION } from "./names.ts";
import {
  asString,
  changeKey,
  getKey,
  isEmpty,
  isObject,
  mapArray,
  removeKeys,
  removeMeta,
  setKey,
  setMeta,
} from "./object-text.ts";
import { members, splice } from "../json.ts";
import { skipSpace } from "../strict-json.ts";

/**
 * A legacy server's result for a modern client.
 * @param method of the request
 * @param result raw text
 * @param serverInfo raw text, undefined where it is not known
 */
export function toModernResult(method: string, result: string, serverInfo: string | undefined): string {
  if (!isObject(result)) return result;
  let text = setKey(result, "resultType", '"complete"');
  if (CACHEABLE.has(method)) {
    // How long an answer holds is not known, and it may be made for one caller.
    text = setKey(setKey(text, "ttlMs", "0"), "cacheScope", '"private"');
  }
  if (method === "tools/list") text = changeKey(text, "tools", (tools) => mapArray(tools, withoutTaskSupport));
  return serverInfo === undefined ? text : setMeta(text, Meta.serverInfo, serverInfo);
}

/** The tasks of 2025-11-25 cannot be carried into the modern era. */
function withoutTaskSupport(tool: string): string {
  return changeKey(tool, "execution", (execution) => {
    const rest = removeKeys(execution, (key) => key === "taskSupport");
    return rest === execution || !isEmpty(rest) ? rest : undefined;
  });
}

/** A modern server's complete result for a legacy client. */
export function toLegacyResult(method: string, result: string): string {
  if (!isObject(result)) return result;
  const cacheable = CACHEABLE.has(method);
  let text = removeKeys(
    result,
    (key) => key === "resultType" || (cacheable && (key === "ttlMs" || key === "cacheScope")),
  );
  text = removeMeta(text, (key) => key === Meta.serverInfo);
  if (method === "tools/list") text = changeKey(text, "tools", (tools) => mapArray(tools, toLegacyTool));
  return method === "tools/call" ? withObjectContent(text) : text;
}

/** Legacy clients know outputs that are objects only, and drop whole lists otherwise. */
function toLegacyTool(tool: string): string {
  const named = changeKey(tool, "inputSchema", withObjectProperties);
  return changeKey(named, "outputSchema", (schema) =>
    asString(getKey(schema, "type")) === "object" ? withObjectProperties(schema) : undefined,
  );
}

/** The same for arguments whose schema is `true` or `false` (JSON Schema 2020-12, core 4.3.2), said as objects say it. */
function withObjectProperties(schema: string): string {
  return changeKey(schema, "properties", (properties) => {
    const edits = (members(properties, skipSpace(properties, 0)) ?? []).flatMap(({ start, end }) => {
      const text = AS_OBJECT.get(properties.slice(start, end));
      return text === undefined ? [] : [{ start, end, text }];
    });
    return edits.length === 0 ? properties : splice(properties, edits);
  });
}

const AS_OBJECT: ReadonlyMap<string, string> = new Map([
  ["true", "{}"],
  ["false", '{"not":{}}'],
]);

function withObjectContent(result: string): string {
  const structured = getKey(result, "structuredContent");
  if (structured === undefined || isObject(structured)) return result;
  const rest = removeKeys(result, (key) => key === "structuredContent");
  const content = getKey(rest, "content");
  let hasText = false;
  if (content !== undefined) {
    mapArray(content, (block) => {
      hasText ||= asString(getKey(block, "type")) === "text";
      return block;
    });
  }
  if (hasText) return rest;
  const block = JSON.stringify({ type: "text", text: structured });
  const inner = content === undefined ? "" : content.slice(content.indexOf("[") + 1, content.lastIndexOf("]")).trim();
  return setKey(rest, "content", `[${inner === "" ? "" : `${inner},`}${block}]`);
}

/** What kind of result a modern server gave; one without the member is an earlier, complete one. */
export function resultType(result: string): string {
  return asString(getKey(result, "resultType")) ?? "complete";
}

/** Answers that differ per caller must not be kept for others. */
export function withPrivateScope(method: string, result: string): string {
  if (!CACHEABLE.has(method) || getKey(result, "cacheScope") === undefined) return result;
  return setKey(result, "cacheScope", '"private"');
}

/** How long and for whom an answer may be kept (MCP 2026-07-28, server/utilities/caching). */
export interface Caching {
  /** Milliseconds, whole and not negative. */
  readonly ttlMs: number;
  readonly cacheScope: "public" | "private";
}

export const NOT_KEPT: Caching = { ttlMs: 0, cacheScope: "private" };

/** What a modern server says of keeping its answer; what it does not say, or says wrongly, allows nothing. */
export function cachingOf(result: string): Caching {
  const ttlMs = Number(getKey(result, "ttlMs"));
  return {
    ttlMs: Number.isSafeInteger(ttlMs) && ttlMs > 0 ? ttlMs : 0,
    cacheScope: asString(getKey(result, "cacheScope")) === "public" ? "public" : "private",
  };
}

/** What holds for an answer that is made of several. */
export function joinCaching(all: readonly Caching[]): Caching {
  if (all.length === 0) return NOT_KEPT;
  return {
    ttlMs: Math.min(...all.map(({ ttlMs }) => ttlMs)),
    cacheScope: all.every(({ cacheScope }) => cacheScope === "public") ? "public" : "private",
  };
}

/** Whether a request can be answered by a question. */
export function canAsk(method: string): boolean {
  return MULTI_ROUND.has(method);
}

/** Capabilities (of server or client) without the tasks of either era, which do not understand each other. */
export function withoutTasks(capabilities: string): string {
  const own = removeKeys(capabilities, (key) => key === "tasks");
  return changeKey(own, "extensions", (extensions) => removeKeys(extensions, (key) => key === TASKS_EXTENSION));
}
