import { ambiguityOf } from "../protocol/ambiguity.ts";
import { ErrorCode } from "../protocol/errors.ts";
import { Message } from "../protocol/message.ts";

/** Why a text is no message of a client, in JSON-RPC's terms. */
export interface Unreadable {
  readonly code: number;
  readonly text: string;
}

/** Reads one message of a client; what two readers would understand differently is none. */
export function readMessage(text: string): Message | Unreadable {
  let message: Message | string;
  try {
    message = Message.read(text, "client");
  } catch {
    return { code: ErrorCode.parse, text: "Parse error: the body is not JSON" };
  }
  const wrong = typeof message === "string" ? message : ambiguityOf(message);
  if (typeof message !== "string" && wrong === undefined) return message;
  return { code: ErrorCode.invalidRequest, text: `Invalid request: ${wrong}` };
}
