import type { Missing } from "../policy/missing.ts";
import { ErrorCode, errorText, resultText } from "../protocol/errors.ts";
import type { Message } from "../protocol/message.ts";
import type { Reply } from "./ends.ts";

/** Where lists are given in one page, no cursor ever left. */
export const INVALID_CURSOR: Missing = { code: ErrorCode.invalidParams, text: "Invalid cursor" };

/** @param level the word that a stateless client gave */
export function unknownLevel(level: string): Missing {
  return { code: ErrorCode.invalidParams, text: `unknown log level: ${level.slice(0, 50)}` };
}

/** Answers a request whose result has nothing to say. */
export function answerEmpty(message: Message, reply: Reply): undefined {
  reply.finish(resultText(message.id ?? "null", "{}"));
}

/** @param status what HTTP says, 200 when absent */
export function refuse(message: Message, reply: Reply, { code, text }: Missing, status?: number): undefined {
  reply.finish(errorText(message.id ?? "null", code, text), status);
}
