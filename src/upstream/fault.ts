/** Why an upstream could not do what was asked; the table in docs/troubleshooting.md lists every code. */
export type FaultCode =
  | "upstream.invalid"
  | "upstream.not_found"
  | "upstream.spawn_failed"
  | "upstream.exited"
  | "upstream.connecting"
  | "upstream.unreachable"
  | "upstream.session_lost"
  | "upstream.unauthorized"
  | "upstream.http_status"
  | "upstream.protocol"
  | "upstream.timeout"
  | "upstream.too_large"
  | "upstream.overloaded"
  | "upstream.at_capacity"
  | "upstream.stopped";

/**
 * A failure on the way to an upstream. `message` is safe for any caller; `detail` (last lines of stderr, the text of a
 * network error) only for callers on this machine or with a credential, and has configured secrets taken out.
 */
export class Fault extends Error {
  readonly code: FaultCode;
  readonly detail: string | undefined;
  /** The upstream certainly did not begin to work on the request, so asking again is safe. */
  readonly notRun: boolean;
  /** Of HTTP, where the server gave one instead of an answer. */
  readonly status: number | undefined;

  constructor(
    code: FaultCode,
    message: string,
    options: { detail?: string | undefined; notRun?: boolean; status?: number } = {},
  ) {
    super(message);
    this.name = "Fault";
    this.code = code;
    this.detail = options.detail;
    this.notRun = options.notRun ?? false;
    this.status = options.status;
  }
}
