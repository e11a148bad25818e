import { members, splitArray } from "../json.ts";
import { skipSpace } from "../strict-json.ts";
import { QUESTIONS } from "./names.ts";
import { asString, getKey, isObject, removeKeys } from "./object-text.ts";

/** One question inside an `input_required` result (MCP 2026-07-28, basic/patterns/mrtr); raw texts. */
export interface InputRequest {
  readonly key: string;
  readonly method: string;
  readonly params: string | undefined;
}

/** An `input_required` result. @param state undefined when there is none */
export function inputRequired(requests: readonly InputRequest[], state: string | undefined): string {
  const each = requests.map(({ key, method, params }) => {
    const tail = params === undefined ? "" : `,"params":${params}`;
    return `${JSON.stringify(key)}:{"method":${JSON.stringify(method)}${tail}}`;
  });
  const asked = each.length === 0 ? "" : `,"inputRequests":{${each.join(",")}}`;
  return `{"resultType":"input_required"${asked}${state === undefined ? "" : `,"requestState":${JSON.stringify(state)}`}}`;
}

export interface InputRequired {
  readonly requests: readonly InputRequest[];
  readonly state: string | undefined;
}

/**
 * Reads an `input_required` result.
 * @returns undefined when it is none that one could answer
 */
export function readInputRequired(result: string): InputRequired | undefined {
  const state = asString(getKey(result, "requestState"));
  const asked = getKey(result, "inputRequests");
  const requests: InputRequest[] = [];
  for (const member of asked === undefined ? [] : (members(asked, skipSpace(asked, 0)) ?? [])) {
    const request = (asked as string).slice(member.start, member.end);
    const method = asString(getKey(request, "method"));
    if (method === undefined || !QUESTIONS.has(method)) return undefined;
    requests.push({ key: member.key, method, params: getKey(request, "params") });
  }
  return requests.length === 0 && state === undefined ? undefined : { requests, state };
}

/** The params of a retry: the same call with answers and the server's state. @param answers raw results by key */
export function retryParams(params: string, answers: ReadonlyMap<string, string>, state: string | undefined): string {
  const call = removeKeys(params, (key) => key === "inputResponses" || key === "requestState");
  const inner = [...answers].map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(",");
  const tail = state === undefined ? "" : `,"requestState":${JSON.stringify(state)}`;
  const body = call.slice(0, call.lastIndexOf("}")).trimEnd();
  return `${body}${body.endsWith("{") ? "" : ","}"inputResponses":{${inner}}${tail}}`;
}

/** Whether a client's answer has the shape that the server waits for. @param result raw */
export function fitsQuestion(method: string, result: string): boolean {
  if (!isObject(result)) return false;
  switch (method) {
    case "elicitation/create":
      return ["accept", "decline", "cancel"].includes(asString(getKey(result, "action")) ?? "");
    case "sampling/createMessage":
      return asString(getKey(result, "role")) !== undefined && getKey(result, "content") !== undefined;
    case "roots/list":
      return getKey(result, "roots")?.startsWith("[") === true;
    default:
      return false;
  }
}

/** The URL elicitations of an error -32042, without the ids that only mean something in the legacy era. */
export function urlElicitations(error: string): readonly string[] {
  const data = getKey(error, "data");
  const list = data === undefined ? undefined : getKey(data, "elicitations");
  if (list === undefined) return [];
  return splitArray(list)
    .filter((each) => isObject(each) && asString(getKey(each, "url")) !== undefined)
    .map(withoutElicitationId);
}

/** Params of a question for a modern client. */
export function withoutElicitationId(params: string): string {
  return removeKeys(params, (key) => key === "elicitationId" || key === "task");
}

/** The params of a question without what belongs to the link it came on. */
export function questionParams(method: string, params: string | undefined): string | undefined {
  if (params === undefined) return undefined;
  return method === "elicitation/create" ? withoutElicitationId(params) : removeKeys(params, (key) => key === "task");
}

/** The capability a question needs, in the shape of `requiredCapabilities`. */
export function neededCapability(method: string, params: string | undefined): Readonly<Record<string, unknown>> {
  if (method === "roots/list") return { roots: {} };
  if (method === "elicitation/create") {
    const mode = params === undefined ? undefined : asString(getKey(params, "mode"));
    return { elicitation: mode === "url" ? { url: {} } : { form: {} } };
  }
  const tools = params !== undefined && getKey(params, "tools") !== undefined;
  return { sampling: tools ? { tools: {} } : {} };
}
