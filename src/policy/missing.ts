import { ErrorCode } from "../protocol/errors.ts";

/** An error that says of something withheld what is said of what does not exist. */
export interface Missing {
  readonly code: number;
  readonly text: string;
}

export function missingMethod(method: string | undefined): Missing {
  return { code: ErrorCode.methodNotFound, text: `Method not found: ${method}` };
}

export function missingTask(id: string): Missing {
  return { code: ErrorCode.invalidParams, text: `Task not found: ${id}` };
}

export function missingTool(name: string): Missing {
  return { code: ErrorCode.invalidParams, text: `Unknown tool: ${name}` };
}

export function missingPrompt(name: string): Missing {
  return { code: ErrorCode.invalidParams, text: `Unknown prompt: ${name}` };
}

/** @param modern the code of earlier revisions is not known any more (MCP 2026-07-28, basic) */
export function missingResource(uri: string, modern: boolean): Missing {
  return {
    code: modern ? ErrorCode.invalidParams : ErrorCode.resourceNotFound,
    text: `Resource not found: ${uri}`,
  };
}

export function missingReference(): Missing {
  return { code: ErrorCode.invalidParams, text: "Unknown prompt or resource template" };
}
