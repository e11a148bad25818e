import { MODERN_VERSIONS, Meta } from "./names.ts";
import { getKey, isObject, removeKeys, setKey, setMeta } from "./object-text.ts";
import { toModernResult, withoutTasks } from "./results.ts";

const NAMELESS = '{"name":"unknown","version":"0"}';

/** The `server/discover` result for what a legacy server answered to `initialize`. Both are raw results. */
export function discoverFromInitialize(initialize: string): string {
  const info = getKey(initialize, "serverInfo");
  const rest = removeKeys(initialize, (key) => key === "serverInfo" || key === "protocolVersion");
  let text = setKey(rest, "supportedVersions", JSON.stringify(MODERN_VERSIONS));
  text = setKey(text, "capabilities", withoutTasks(getKey(initialize, "capabilities") ?? "{}"));
  return toModernResult("server/discover", text, info);
}

/**
 * The `initialize` result for what a modern server answered to `server/discover`.
 * @param version legacy version to name
 */
export function initializeFromDiscover(discover: string, version: string): string {
  const meta = getKey(discover, "_meta");
  const info = meta === undefined ? undefined : getKey(meta, Meta.serverInfo);
  const own = new Set(["supportedVersions", "resultType", "ttlMs", "cacheScope", "_meta", "capabilities"]);
  let text = removeKeys(discover, (key) => own.has(key));
  text = setKey(text, "protocolVersion", JSON.stringify(version));
  text = setKey(text, "capabilities", withoutTasks(getKey(discover, "capabilities") ?? "{}"));
  text = setKey(text, "serverInfo", info !== undefined && isObject(info) ? info : NAMELESS);
  const rest = meta === undefined ? "{}" : removeKeys(meta, (key) => key === Meta.serverInfo);
  return rest === "{}" ? text : setKey(text, "_meta", rest);
}

/** A modern server's own answer to `server/discover`, with the versions that are spoken here. */
export function discoverThrough(discover: string): string {
  return setKey(discover, "supportedVersions", JSON.stringify(MODERN_VERSIONS));
}

/** The versions a result of `server/discover` names; undefined when it is no such result (servers answer `{}` to anything). */
export function supportedVersions(result: string): readonly string[] | undefined {
  const raw = getKey(result, "supportedVersions");
  const parsed: unknown = raw === undefined ? undefined : JSON.parse(raw);
  return Array.isArray(parsed) ? parsed.filter((each): each is string => typeof each === "string") : undefined;
}

/** The params of `server/discover` and of every request of the proxy's own to a modern server. */
export function ownEnvelope(clientInfo: unknown, version: string): object {
  return { [Meta.protocolVersion]: version, [Meta.clientCapabilities]: {}, [Meta.clientInfo]: clientInfo };
}

/** Params of a notification marked as belonging to a subscription. @param id raw token */
export function withSubscription(params: string | undefined, id: string): string {
  return setMeta(params !== undefined && isObject(params) ? params : "{}", Meta.subscriptionId, id);
}
