import { getKey, mapArray, setKey } from "../../protocol/eras/object-text.ts";
import { find } from "../../protocol/json.ts";
import type { Reply } from "../ends.ts";

/** The answer to `resources/read` of a resource that clients know by another URI than its server. */
export class Renamed implements Reply {
  readonly #reply: Reply;
  readonly #uri: string;
  readonly #shown: string;

  constructor(reply: Reply, uri: string, shown: string) {
    this.#reply = reply;
    this.#uri = uri;
    this.#shown = shown;
  }

  push(text: string): void {
    this.#reply.push(text);
  }

  park(): void {
    this.#reply.park?.();
  }

  drop(): void {
    this.#reply.drop();
  }

  finish(text: string, status?: number, retryAfterSeconds?: number): void {
    const contents = find(text, 0, "result", "contents");
    if (contents === undefined) return this.#reply.finish(text, status, retryAfterSeconds);
    const renamed = mapArray(text.slice(contents.start, contents.end), (element) =>
      getKey(element, "uri") === JSON.stringify(this.#uri)
        ? setKey(element, "uri", JSON.stringify(this.#shown))
        : element,
    );
    this.#reply.finish(text.slice(0, contents.start) + renamed + text.slice(contents.end), status);
  }
}
