/** JSON-RPC error codes in use on the wire. */
export const ErrorCode = {
  /** JSON-RPC 2.0 section 5.1 */
  parse: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internal: -32603,
  /** MCP, resources: a resource that does not exist (up to 2025-11-25). */
  resourceNotFound: -32002,
  /** What servers of this protocol family answer for sessions and states of the transport. */
  server: -32000,
  /** Legacy: an unknown or ended session. */
  sessionNotFound: -32001,
} as const;

/** An error answer. `id` is the raw token of the request's id, or `null` where none could be read. */
export function errorText(id: string, code: number, message: string, data?: unknown): string {
  const tail = data === undefined ? "" : `,"data":${JSON.stringify(data)}`;
  return `{"jsonrpc":"2.0","id":${id},"error":{"code":${code},"message":${JSON.stringify(message)}${tail}}}`;
}

/** A success answer around raw result text. */
export function resultText(id: string, result: string): string {
  return `{"jsonrpc":"2.0","id":${id},"result":${result}}`;
}

export function notificationText(method: string, params?: unknown): string {
  const tail = params === undefined ? "" : `,"params":${JSON.stringify(params)}`;
  return `{"jsonrpc":"2.0","method":${JSON.stringify(method)}${tail}}`;
}
