import { canAnswer } from "../protocol/capabilities.ts";
import { QUESTIONS } from "../protocol/eras/names.ts";
import { ErrorCode, errorText } from "../protocol/errors.ts";
import type { Message } from "../protocol/message.ts";
import { Recent } from "../store/recent.ts";
import type { Connection } from "../upstream/connection.ts";
import type { Target } from "./addressee.ts";
import type { Exchange } from "./exchange.ts";
import type { Asked } from "./question.ts";
import type { Session } from "./session.ts";

/** Elicitations at URLs that are remembered; nobody may ever finish them. */
const MAX_ELICITATIONS = 1_000;

/** The questions of one server that were passed on to clients of one line. */
export class Questions {
  /** By the server's raw id. */
  readonly #passed = new Map<string, { asked: Asked; id: number }>();
  /** Whom the elicitations at URLs were put to, by the server's id for them. */
  readonly #elicitations = new Recent<Session>(MAX_ELICITATIONS);

  get open(): boolean {
    return this.#passed.size > 0;
  }

  /**
   * Passes a request of the server on, or refuses it.
   * @param target undefined where nobody may be asked
   * @param relaysRoots the server was told of roots; one that was not does not get them by asking all the same, since it
   * would take them as permission
   */
  ask(message: Message, target: Target | undefined, connection: Connection, relaysRoots: boolean): void {
    const serverId = message.id;
    if (serverId === undefined) return;
    if (connection.era === "modern" || target === undefined || unknownToModern(target, message))
      return connection.send(refusal(serverId, message));
    const relays = message.method !== "roots/list" || relaysRoots;
    if (!relays || !canAnswer(target.asked.capabilities, message)) {
      const why = `the client has not declared the capability for ${message.method}`;
      connection.send(errorText(serverId, ErrorCode.methodNotFound, why));
      if (relays) target.exchange?.dialogue?.lacks(message);
      return;
    }
    const token = message.meta("progressToken");
    const id = target.asked.ask(message, {
      connection,
      serverId,
      progressToken: token === undefined ? undefined : message.slice(token),
      exchange: target.exchange,
      presumed: target.presumed === true,
      answered: (text) => connection.send(text),
      closed: () => void this.#passed.delete(serverId),
    });
    if (id === undefined) {
      return connection.send(errorText(serverId, ErrorCode.server, "the client has too many open questions"));
    }
    this.#passed.set(serverId, { asked: target.asked, id });
    const elicitation = message.stringParam("elicitationId");
    if (elicitation !== undefined && target.session !== undefined) this.#elicitations.set(elicitation, target.session);
  }

  /** The server takes a question back. */
  withdraw(message: Message): void {
    const span = message.param("requestId");
    if (span === undefined) return;
    const passed = this.#passed.get(message.slice(span));
    passed?.asked.withdraw(passed.id, (id) => message.edited({ start: span.start, end: span.end, text: String(id) }));
  }

  /**
   * Somebody finished at a URL. The notification names the question only, so it goes to the client that was asked it.
   * @param exclusive who has the line for himself
   */
  completed(message: Message, exchange: Exchange | undefined, exclusive: Session | undefined): void {
    const id = message.stringParam("elicitationId") ?? "";
    const asked = this.#elicitations.get(id);
    this.#elicitations.delete(id);
    // Modern clients know nothing of it: they call again.
    if (exchange?.dialogue !== undefined) return;
    if (exchange !== undefined) exchange.push(message.text);
    else (asked ?? exclusive)?.push(message.text);
  }

  /** The connection is gone, and nothing more is answered over it. */
  forget(): void {
    this.#passed.clear();
  }
}

function refusal(id: string, message: Message): string {
  if (message.method === "ping") return `{"jsonrpc":"2.0","id":${id},"result":{}}`;
  const why =
    `${message.method} cannot be passed on: several clients share this connection, or no call is open on it, so the ` +
    'proxy cannot know whom to ask. Set "isolation": "session" for this server in the proxy\'s configuration.';
  return errorText(id, ErrorCode.methodNotFound, why);
}

/** Modern clients are asked three things and nothing else; a legacy one answers for itself. */
function unknownToModern(target: Target, message: Message): boolean {
  return target.exchange?.dialogue !== undefined && !QUESTIONS.has(message.method ?? "");
}
