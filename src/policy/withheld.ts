import { ErrorCode } from "../protocol/errors.ts";
import type { Message } from "../protocol/message.ts";

/** Lists of what has no names in patterns, with the member of their results. */
const LISTS: ReadonlyMap<string, string> = new Map([
  ["prompts/list", "prompts"],
  ["resources/list", "resources"],
  ["resources/templates/list", "resourceTemplates"],
]);

/** An error that says of something withheld what would be said if it did not exist. */
export interface Missing {
  readonly code: number;
  readonly text: string;
  readonly data?: object;
}

/** The list that a request asks for and that is empty for who has single tools of a server only. */
export function withheldList(method: string | undefined): string | undefined {
  return method === undefined ? undefined : LISTS.get(method);
}

/** The answer to a request for a prompt, a resource or a completion of a server of which a caller has single tools only. */
export function withheld(message: Message, modern: boolean): Missing | undefined {
  switch (message.method) {
    case "prompts/get":
      return missingPrompt(message.stringParam("name") ?? "");
    case "resources/read":
    case "resources/subscribe":
    case "resources/unsubscribe":
      return missingResource(message.stringParam("uri") ?? "", modern);
    case "completion/complete":
      return { code: ErrorCode.invalidParams, text: "Unknown reference" };
    default:
      return undefined;
  }
}

export function missingTool(name: string): Missing {
  return { code: ErrorCode.invalidParams, text: `Unknown tool: ${name}` };
}

export function missingPrompt(name: string): Missing {
  return { code: ErrorCode.invalidParams, text: `Unknown prompt: ${name}` };
}

/** @param modern the code of earlier revisions is not known any more (MCP 2026-07-28, basic) */
export function missingResource(uri: string, modern: boolean): Missing {
  const code = modern ? ErrorCode.invalidParams : ErrorCode.resourceNotFound;
  return { code, text: "Resource not found", data: { uri } };
}
