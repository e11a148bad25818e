/** Every error of the authorization server, in one table: its code on the wire and its status. */
const STATUS = {
  invalid_request: 400,
  invalid_client: 401,
  invalid_grant: 400,
  unauthorized_client: 400,
  unsupported_grant_type: 400,
  unsupported_response_type: 400,
  invalid_scope: 400,
  invalid_target: 400,
  access_denied: 403,
  invalid_redirect_uri: 400,
  invalid_client_metadata: 400,
  server_error: 500,
  temporarily_unavailable: 429,
} as const;

export type ErrorCode = keyof typeof STATUS;

/** An answer that is an error; `message` names place and remedy, and never holds a secret or text of a stranger. */
export class OAuthError extends Error {
  readonly code: ErrorCode;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: ErrorCode, message: string, more: { status?: number; headers?: Record<string, string> } = {}) {
    super(message);
    this.code = code;
    this.status = more.status ?? STATUS[code];
    this.headers = more.headers ?? {};
  }

  get body(): { error: ErrorCode; error_description: string } {
    return { error: this.code, error_description: this.message };
  }
}
