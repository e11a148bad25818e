import { Answer } from "../http1/answer.ts";
import type { RequestHeaders } from "../http1/request-headers.ts";
import { ErrorCode, errorText } from "../protocol/errors.ts";
import { hasEnvelope, readEnvelope } from "../protocol/eras/envelope.ts";
import { decodeHeader } from "../protocol/eras/header-value.ts";
import { ModernCode, isModernVersion } from "../protocol/eras/names.ts";
import { namedBy } from "../protocol/eras/param-headers.ts";
import { VERSION_HEADER } from "../protocol/http-headers.ts";
import type { Message } from "../protocol/message.ts";
import type { HttpReply } from "./http-reply.ts";
import type { Accepts } from "./http-reply.ts";
import type { Admitted } from "./admitted.ts";
import { readVersion, refuseVersion } from "./modern-request.ts";
import type { Wrong } from "./modern-request.ts";

/** Whether a message is of the stateless era: by its own words, or else by its version header. */
export function isModern(message: Message, headers: RequestHeaders): boolean {
  return hasEnvelope(message) || isModernVersion(headers.get(VERSION_HEADER)?.trim() ?? "");
}

/**
 * The server side of stateless Streamable HTTP (MCP 2026-07-28, basic/transports/streamable-http): one message per POST,
 * whose headers must say what the body says, since what stands in between may have decided by them.
 */
export function receiveModern(admitted: Admitted, message: Message, reply: HttpReply, accepts: Accepts): void {
  const { request, endpoint, caller, headers } = admitted;
  const refuse = (status: number, { code, text, data }: Wrong): void => {
    reply.respond(new Answer(status, headers.json, errorText(message.id ?? "null", code, text, data)));
  };
  if (message.kind === "response") {
    return refuse(400, {
      code: ErrorCode.invalidRequest,
      text: "Invalid request: a client sends no responses in this version",
    });
  }
  if (message.kind === "notification") {
    const wrong = checkVersion(message, request.headers);
    if (wrong !== undefined) return refuse(400, wrong);
    endpoint.modern.notification(message, caller);
    // Ids of different clients collide, so a cancellation names nobody's request here; closing the stream does.
    return reply.respond(new Answer(202, headers.json));
  }
  const wrong = check(message, request.headers);
  if (wrong !== undefined) return refuse(400, wrong);
  const envelope = readEnvelope(message);
  if (typeof envelope === "string")
    return refuse(400, { code: ErrorCode.invalidParams, text: `Invalid params: ${envelope}` });
  if (message.method === "subscriptions/listen" && !accepts.events) {
    return refuse(406, {
      code: ErrorCode.server,
      text: "Not acceptable: this opens an event stream; accept text/event-stream",
    });
  }
  reply.asked();
  let leave: (() => void) | undefined;
  let left = request.left;
  reply.gone = () => {
    left = true;
    leave?.();
  };
  request.onLeft(reply.gone);
  const onLeave = (act: () => void): void => {
    leave = act;
    if (left) act();
  };
  endpoint.modern.request({ message, envelope, caller, reply, onLeave });
}

/** What is wrong with the version of a notification, which needs no envelope. */
function checkVersion(message: Message, headers: RequestHeaders): Wrong | undefined {
  const named = headers.get(VERSION_HEADER)?.trim();
  if (named === undefined) return mismatch("MCP-Protocol-Version is missing");
  const version = hasEnvelope(message) ? readVersion(message) : named;
  if (typeof version !== "string") return version;
  return named === version
    ? refuseVersion(version)
    : mismatch("MCP-Protocol-Version differs from the protocolVersion in _meta");
}

/** What is wrong with a request's headers or its version, in the order in which it is told. */
function check(message: Message, headers: RequestHeaders): Wrong | undefined {
  const version = readVersion(message);
  if (typeof version !== "string") return version;
  const named = headers.get(VERSION_HEADER)?.trim();
  if (named === undefined) return mismatch("MCP-Protocol-Version is missing");
  if (named !== version) return mismatch("MCP-Protocol-Version differs from the protocolVersion in _meta");
  const unknown = refuseVersion(version);
  if (unknown !== undefined) return unknown;
  const method = headers.get("mcp-method")?.trim();
  if (method === undefined) return mismatch("Mcp-Method is missing");
  if (method !== message.method) return mismatch("Mcp-Method differs from the method");
  const key = namedBy(method);
  if (key === undefined) return undefined;
  const name = headers.get("mcp-name");
  const value = message.stringParam(key);
  // A body without the name is wrong in another way, which is the server's to say.
  if (name === null) return value === undefined ? undefined : mismatch("Mcp-Name is missing");
  return decodeHeader(name) === value ? undefined : mismatch(`Mcp-Name differs from params.${key}`);
}

function mismatch(text: string): Wrong {
  return { code: ModernCode.headerMismatch, text: `Header mismatch: ${text}` };
}
