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
      return canSample(capabilities["sampling"], question);
    case "roots/list":
      return capabilities["roots"] !== undefined;
    case "elicitation/create":
      return canElicit(capabilities["elicitation"], question.stringParam("mode") ?? "form");
    default:
      return true;
  }
}

/** Tools in a sampling request need a declaration of their own. */
function canSample(declared: unknown, question: Message): boolean {
  if (typeof declared !== "object" || declared === null) return false;
  const withTools = question.param("tools") !== undefined || question.param("toolChoice") !== undefined;
  return !withTools || "tools" in declared;
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

/** The lists a server offers, which are what may have changed while nobody was told. */
export function offeredLists(capabilities: Capabilities): string[] {
  return ["tools", "prompts", "resources"].filter((kind) => capabilities[kind] !== undefined);
}
