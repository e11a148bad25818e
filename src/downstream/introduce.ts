import { recordOf } from "../protocol/parsed.ts";
import { ErrorCode, errorText } from "../protocol/errors.ts";
import type { Message } from "../protocol/message.ts";
import { negotiate } from "../protocol/versions.ts";
import type { Caller, Client } from "../relay/ends.ts";
import type { Endpoint } from "../relay/served.ts";
import type { Session } from "../relay/session.ts";

/** Who says `initialize`, and the version that is settled with it. */
export function readClient(message: Message): Client {
  const params = message.parsedParams();
  return {
    protocolVersion: negotiate(params["protocolVersion"]),
    info: params["clientInfo"] ?? { name: "unknown", version: "0" },
    capabilities: recordOf(params["capabilities"]),
  };
}

/** The answer to `initialize`; `welcome` is false where it is an error, because the server is not there. */
export async function introduce(
  endpoint: Endpoint,
  message: Message,
  session: Session,
  caller: Caller,
): Promise<{ readonly text: string; readonly welcome: boolean }> {
  try {
    return { text: await endpoint.initialize(message, session, caller), welcome: true };
  } catch (error) {
    const { message: why, data } = endpoint.explain(error, caller);
    return { text: errorText(message.id ?? "null", ErrorCode.internal, why, data), welcome: false };
  }
}
