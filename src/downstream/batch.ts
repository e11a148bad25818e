import { skipSpace, splitArray } from "../protocol/json.ts";
import { Message } from "../protocol/message.ts";
import { allowsBatches } from "../protocol/versions.ts";
import type { Reply } from "../relay/ends.ts";
import type { HttpReply } from "./http-reply.ts";

/** Each member costs a request in flight; a body of some megabytes would hold a hundred thousand. */
const MAX_MEMBERS = 256;

export function isBatch(body: string): boolean {
  return body.charCodeAt(skipSpace(body, 0)) === 91;
}

/**
 * The messages of a batch.
 * @param version what was settled with the client, undefined before that
 * @returns for each member a message, or a sentence that says why it is none; one sentence when the whole is refused
 */
export function readBatch(body: string, version: string | undefined): string | (Message | string)[] {
  if (version === undefined || !allowsBatches(version)) {
    return `Invalid request: batches exist in version 2025-03-26 only (this is ${version ?? "before initialize"}); send one message at a time`;
  }
  try {
    JSON.parse(body);
  } catch {
    return "Parse error: the body is not JSON";
  }
  const members = splitArray(body);
  if (members.length === 0) return "Invalid request: the batch is empty";
  if (members.length > MAX_MEMBERS) return `Invalid request: a batch has at most ${MAX_MEMBERS} messages`;
  const read = members.map((member) => Message.read(member, "client"));
  if (read.some((each) => typeof each !== "string" && each.method === "initialize")) {
    return "Invalid request: initialize cannot be part of a batch";
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
