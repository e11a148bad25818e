import { resultText } from "../protocol/errors.ts";
import { URL_ELICITATION_REQUIRED, codeOf, statusOf, toModernError } from "../protocol/eras/errors.ts";
import { discoverThrough } from "../protocol/eras/hello.ts";
import { inputRequired, urlElicitations } from "../protocol/eras/input.ts";
import { asString, getKey, setKey } from "../protocol/eras/object-text.ts";
import { canAsk, resultType, toModernResult, withPrivateScope } from "../protocol/eras/results.ts";
import { canAnswer } from "../protocol/capabilities.ts";
import { Message } from "../protocol/message.ts";
import type { Connection } from "../upstream/connection.ts";
import type { Dialogue } from "./dialogue.ts";

/** What a modern client is told instead of what a server answered. */
export type Rewrite = ((text: string) => string) | undefined;

/**
 * Brings a server's answer to a modern client, in its words.
 * @param perCaller answers differ per caller, so nobody may keep them for others
 */
export function answerModern(
  dialogue: Dialogue,
  method: string,
  message: Message,
  connection: Connection,
  rewrite: Rewrite,
  perCaller: boolean,
): void {
  if (message.error !== undefined) return answerError(dialogue, method, message, connection);
  if (message.result === undefined) return;
  let result = message.slice(message.result);
  if (connection.era === "legacy") {
    result = toModernResult(method, result, getKey(connection.introduction.text, "serverInfo"));
  } else {
    if (method === "server/discover") result = discoverThrough(result);
    if (dialogue.authenticated && canAsk(method) && resultType(result) === "input_required") {
      const state = asString(getKey(result, "requestState"));
      if (state !== undefined) {
        result = setKey(result, "requestState", JSON.stringify(dialogue.parking.wrap(state, dialogue.binding)));
      }
    }
  }
  if (perCaller) result = withPrivateScope(method, result);
  const whole = message.edited({ ...message.result, text: result });
  const text = rewrite === undefined ? whole : rewrite(whole);
  dialogue.finish((id) => (Message.read(text, "upstream") as Message).withId(id));
}

function answerError(dialogue: Dialogue, method: string, message: Message, connection: Connection): void {
  const span = message.error ?? { start: 0, end: 0 };
  const error = message.slice(span);
  if (connection.era === "legacy" && codeOf(error) === URL_ELICITATION_REQUIRED && canAsk(method)) {
    const urls = urlElicitations(error);
    if (urls.length > 0) return visitFirst(dialogue, urls);
  }
  const mine = connection.era === "legacy" ? toModernError(error) : error;
  dialogue.finish(
    (id) => message.withId(id, { ...span, text: mine }),
    statusOf(codeOf(mine), method, connection.introduction.capabilities),
  );
}

/** The call has not run: the client shows the pages, and calls again. */
function visitFirst(dialogue: Dialogue, urls: readonly string[]): void {
  const probe = Message.read(
    '{"jsonrpc":"2.0","id":0,"method":"elicitation/create","params":{"mode":"url"}}',
    "upstream",
  );
  if (!canAnswer(dialogue.capabilities, probe as Message)) return dialogue.refuse({ elicitation: { url: {} } });
  const requests = urls.map((params, index) => ({
    key: `k${index + 1}`,
    method: "elicitation/create",
    params: getKey(params, "mode") === undefined ? setKey(params, "mode", '"url"') : params,
  }));
  const state = dialogue.parking.sealAgain(dialogue.binding);
  dialogue.finish((id) => resultText(id, inputRequired(requests, state)));
}
