import { BodyTooLarge, decode } from "../downstream/body.ts";
import { isJsonMediaType } from "../protocol/http-headers.ts";
import { OAuthError } from "./errors.ts";
import { Params } from "./params.ts";

const MAX_BYTES = 64 * 1_024;
/** A body that drips in must not be waited for without end. */
const PATIENCE_MS = 20_000;

/** @throws OAuthError when the body is no form, or too large */
export async function readForm(request: Request): Promise<Params> {
  if (!/^application\/x-www-form-urlencoded\s*(;|$)/i.test(request.headers.get("content-type") ?? "")) {
    throw new OAuthError("invalid_request", "send application/x-www-form-urlencoded");
  }
  return new Params(new URLSearchParams(await read(request)));
}

/** A `text/plain` body, which other sites' pages can send unasked, is refused. @throws OAuthError */
export async function readJson(request: Request): Promise<unknown> {
  if (!isJsonMediaType(request.headers.get("content-type"))) {
    throw new OAuthError("invalid_client_metadata", "send application/json", { status: 415 });
  }
  const text = await read(request);
  try {
    return JSON.parse(text);
  } catch {
    throw new OAuthError("invalid_client_metadata", "the body is not JSON");
  }
}

async function read(request: Request): Promise<string> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new OAuthError("invalid_request", "the body did not arrive in time", { status: 408 })),
    PATIENCE_MS,
  );
  try {
    return await Promise.race([readText(request), late.promise]);
  } catch (error) {
    if (error instanceof OAuthError) throw error;
    const large = error instanceof BodyTooLarge;
    throw new OAuthError(
      "invalid_request",
      large ? `the body may have at most ${MAX_BYTES} bytes` : "the body could not be read",
      { status: large ? 413 : 400 },
    );
  } finally {
    clearTimeout(timer);
  }
}

/** @throws BodyTooLarge, BodyNotText, or what the stream fails with */
async function readText({ headers, body }: Request): Promise<string> {
  if (Number(headers.get("content-length") ?? 0) > MAX_BYTES) throw new BodyTooLarge();
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of body ?? []) {
    bytes += part.byteLength;
    if (bytes > MAX_BYTES) throw new BodyTooLarge();
    parts.push(part);
  }
  return decode(Buffer.concat(parts));
}

/** JSON that nobody may keep. */
export function jsonAnswer(body: object, status = 200, headers: Readonly<Record<string, string>> = {}): Response {
  return Response.json(body, {
    status,
    headers: { "Cache-Control": "no-store", Pragma: "no-cache", "X-Content-Type-Options": "nosniff", ...headers },
  });
}
