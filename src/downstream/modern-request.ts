import { ErrorCode } from "../protocol/errors.ts";
import type { Envelope } from "../protocol/eras/envelope.ts";
import { envelopeVersion, hasEnvelope, readEnvelope } from "../protocol/eras/envelope.ts";
import { MODERN_VERSIONS, Meta, ModernCode } from "../protocol/eras/names.ts";
import type { Message } from "../protocol/message.ts";

/** Why a request of the stateless era is refused. */
export interface Wrong {
  readonly code: number;
  readonly text: string;
  readonly data?: object;
}

/** The version a request's envelope names, known or not. */
export function readVersion(message: Message): string | Wrong {
  if (!hasEnvelope(message)) return invalid(`params._meta has no ${Meta.protocolVersion}`);
  return envelopeVersion(message) ?? invalid("the protocolVersion in _meta must be a string");
}

/** Undefined when the version is spoken here. */
export function refuseVersion(version: string): Wrong | undefined {
  if (MODERN_VERSIONS.includes(version)) return undefined;
  return {
    code: ModernCode.unsupportedVersion,
    text: "Unsupported protocol version",
    data: { supported: MODERN_VERSIONS, requested: version },
  };
}

/** The envelope of a request, where nothing but the message says what it is (MCP 2026-07-28, basic/index). */
export function readStateless(message: Message): Envelope | Wrong {
  const version = readVersion(message);
  const wrong = typeof version === "string" ? refuseVersion(version) : version;
  if (wrong !== undefined) return wrong;
  const envelope = readEnvelope(message);
  return typeof envelope === "string" ? invalid(envelope) : envelope;
}

function invalid(text: string): Wrong {
  return { code: ErrorCode.invalidParams, text: `Invalid params: ${text}` };
}
