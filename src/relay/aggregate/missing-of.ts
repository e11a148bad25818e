import { missingPrompt, missingReference, missingResource, missingTool } from "../../policy/missing.ts";
import type { Missing } from "../../policy/missing.ts";
import type { Message } from "../../protocol/message.ts";

/** What a client is told that asked for something that no server has. @param modern in the words of its era */
export function missingOf(message: Message, modern: boolean): Missing {
  switch (message.method) {
    case "tools/call":
      return missingTool(message.stringParam("name") ?? "");
    case "prompts/get":
      return missingPrompt(message.stringParam("name") ?? "");
    case "completion/complete":
      return missingReference();
    default:
      return missingResource(message.stringParam("uri") ?? "", modern);
  }
}
