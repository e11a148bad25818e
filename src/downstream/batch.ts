import { ErrorCode } from "../protocol/errors.ts";
import { splitArray } from "../protocol/json.ts";
import { skipSpace } from "../protocol/strict-json.ts";
import { Message } from "../protocol/message.ts";
import { allowsBatches } from "../protocol/versions.ts";
import type { Reply } from "../relay/ends.ts";
import type { HttpReply } from "./http-reply.ts";
import { readMessage } from "./read-message.ts";
import type { Unreadable } from "./read-message.ts";

/** Each member costs a request in flight; a body of some megabytes would hold a hundred thousand. */
const MAX_MEMBERS = 256;

export function isBatch(body: string): boolean {
  return body.charCodeAt(skipSpace(body, 0)) === 91;
}

/**
 * The messages of a batch.
 * @param version what was settled with the client, undefined before that
 * @returns for each member a message, or why it is none; one reason when the whole is refused
 */
export function readBatch(body: string, version: string | undefined): Unreadable | (Message | Unreadable)[] {
  const refused = (why: string): Unreadable => ({ code: ErrorCode.invalidRequest, text: `Invalid request: ${why}` });
  try {
    JSON.parse(body);
  } catch {
    return { code: ErrorCode.parse, text: "Parse error: the body is not JSON" };
  }
  const members = splitArray(body);
  if (members.length === 0) return refused("the batch is empty");
  if (version === undefined || !allowsBatches(version)) {
    return refused(
      `batches exist in 2025-03-26 only (this is ${version ?? "before initialize"}); send one message at a time`,
    );
  }
  if (members.length > MAX_MEMBERS) return refused(`a batch has at most ${MAX_MEMBERS} messages`);
  const read = members.map(readMessage);
  if (read.some((each) => each instanceof Message && each.method === "initialize")) {
    return refused("initialize cannot be part of a batch");
  }
  return read;
}

/** Answers to the requests of one batch: together as JSON, or one by one once something came before them. */
export class BatchReplies {
  readonly #reply: HttpReply;
  readonly #answers: string[] = [];
  #open: number;

  /** @param count requests that are going to be answered */
  constructor(reply: HttpReply, count: number) {
    this.#reply = reply;
    this.#open = count;
  }

  /** Where the answer to one of the requests goes. */
  one(): Reply {
    return {
      push: (text) => this.#reply.push(text),
      finish: (text) => {
        this.#answers.push(text);
        this.#done();
      },
      park: () => this.#reply.park(),
      drop: () => this.#done(),
    };
  }

  #done(): void {
    this.#open--;
    // Clients expect one message in each event of a stream.
    if (this.#reply.streaming) for (const text of this.#answers.splice(0)) this.#reply.push(text);
    if (this.#open > 0) return;
    if (this.#answers.length === 0) return this.#reply.drop();
    this.#reply.finish(`[${this.#answers.join(",")}]`);
  }
}
