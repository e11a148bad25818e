import type { Message } from "./message.ts";

type Capabilities = Readonly<Record<string, unknown>>;

/** What the proxy can carry from a server to clients that come later. */
export const CARRIED: Capabilities = Object.freeze({
  sampling: { context: {}, tools: {} },
  elicitation: { form: {}, url: {} },
});

/**
 * Whether a client that declared these capabilities can be asked this (MCP 2025-11-25, client capabilities).
 * Methods nobody has specified are let through: the client itself answers those best.
 */
export function canAnswer(capabilities: Capabilities, question: Message): boolean {
  switch (question.method) {
    case "sampling/createMessage":
      return capabilities["sampling"] !== undefined;
    case "roots/list":
      return capabilities["roots"] !== undefined;
    case "elicitation/create":
      return canElicit(capabilities["elicitation"], question.stringParam("mode") ?? "form");
    default:
      return true;
  }
}

/** `{}` means form, as it did before there were modes. */
function canElicit(declared: unknown, mode: string): boolean {
  if (typeof declared !== "object" || declared === null) return false;
  return mode in declared || (mode === "form" && !("url" in declared));
}

/** Whether a client can be asked anything at all, so that a process of its own is worth it. */
export function answersQuestions(capabilities: Capabilities): boolean {
  return capabilities["sampling"] !== undefined || capabilities["elicitation"] !== undefined;
}
