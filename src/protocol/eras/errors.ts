import { ErrorCode } from "../errors.ts";
import type { Capabilities } from "./envelope.ts";
import { ModernCode } from "./names.ts";
import { getKey, setKey } from "./object-text.ts";

/** An error that names URLs a user has to visit first (2025-11-25, elicitation). */
export const URL_ELICITATION_REQUIRED = -32042;

export function codeOf(error: string): number {
  return Number(getKey(error, "code"));
}

/**
 * A legacy server's error for a modern client: codes of that era that mean nothing now, or something else, are replaced
 * (MCP 2026-07-28, basic/index). Message and data stay.
 */
export function toModernError(error: string): string {
  const code = codeOf(error);
  if (code === ErrorCode.resourceNotFound) return setKey(error, "code", String(ErrorCode.invalidParams));
  const reserved = code <= ModernCode.headerMismatch && code >= -32099;
  return reserved || code === URL_ELICITATION_REQUIRED ? setKey(error, "code", String(ErrorCode.internal)) : error;
}

/** The capability with which a server offers a method. */
const FEATURE: ReadonlyMap<string, string> = new Map([
  ["completion/complete", "completions"],
  ["tools/call", "tools"],
  ["tools/list", "tools"],
  ["prompts/get", "prompts"],
  ["prompts/list", "prompts"],
  ["resources/list", "resources"],
  ["resources/read", "resources"],
  ["resources/templates/list", "resources"],
]);

/**
 * What HTTP says with an error to a modern client, if nothing was said before. 404 says that there is no such method
 * (basic/transports); where the server offers the method, its error is about something else and stays in-band.
 * @param method of the request @param capabilities of the server
 */
export function statusOf(code: number, method: string, capabilities: Capabilities): number {
  switch (code) {
    case ErrorCode.methodNotFound:
      return capabilities[FEATURE.get(method) ?? ""] === undefined ? 404 : 200;
    case ModernCode.headerMismatch:
    case ModernCode.missingCapability:
    case ModernCode.unsupportedVersion:
      return 400;
    default:
      return 200;
  }
}
