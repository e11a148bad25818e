import { ErrorCode } from "../errors.ts";
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

/** What HTTP says with an error to a modern client, if nothing was said before. */
export function statusOf(code: number): number {
  switch (code) {
    case ErrorCode.methodNotFound:
      return 404;
    case ModernCode.headerMismatch:
    case ModernCode.missingCapability:
    case ModernCode.unsupportedVersion:
      return 400;
    default:
      return 200;
  }
}
