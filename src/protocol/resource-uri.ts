/** Scheme and what follows it, with the slashes of an authority where there is one (RFC 3986 section 3). */
const PARTS = /^([A-Za-z][A-Za-z0-9+.-]*:(?:\/\/)?)(.*)$/s;

/**
 * A URI, or a template of URIs, with a server's name in it: `scheme://server/rest`. What is no URI stays as it is.
 */
export function withServer(uri: string, server: string): string {
  const [, scheme, rest] = PARTS.exec(uri) ?? [];
  return scheme === undefined ? uri : `${scheme}${encodeURIComponent(server)}/${rest}`;
}

/** The URI that `withServer` made this of, undefined when it was not made of one of this server. */
export function withoutServer(text: string, server: string): string | undefined {
  const [, scheme, rest] = PARTS.exec(text) ?? [];
  const start = `${encodeURIComponent(server)}/`;
  return scheme !== undefined && rest?.startsWith(start) === true ? scheme + rest.slice(start.length) : undefined;
}

/** Templates that are longer, or have more expressions, match nothing: matching must not cost more than a look. */
const MAX_TEMPLATE = 2_000;
const MAX_EXPRESSIONS = 16;

/** Whether a URI could be made of a template (RFC 6570); of what an expression may expand to nearly all is allowed. */
export function fitsTemplate(template: string, uri: string): boolean {
  if (template.length > MAX_TEMPLATE || uri.length > 8 * MAX_TEMPLATE) return false;
  const parts = template.split(/(\{[^{}]*\})/);
  if (parts.length > 2 * MAX_EXPRESSIONS) return false;
  // Each literal at its first place after the one before; the last one at the end. Greedy is enough to tell servers apart.
  let at = 0;
  for (const [index, part] of parts.entries()) {
    if (index % 2 === 1) continue;
    const last = index === parts.length - 1;
    if (index === 0) {
      if (!uri.startsWith(part)) return false;
      at = part.length;
      if (last) return uri.length === at;
      continue;
    }
    const expression = parts[index - 1] ?? "";
    const optional = /^\{[?&#/;.]/.test(expression);
    const found =
      last && part === "" ? uri.length : last ? uri.lastIndexOf(part) : uri.indexOf(part, optional ? at : at + 1);
    if (found === -1 || found < (optional ? at : at + 1)) return false;
    const value = uri.slice(at, found);
    if (!/^\{[+#/]/.test(expression) && !optional && value.includes("/")) return false;
    at = found + part.length;
    if (last && at !== uri.length) return false;
  }
  return true;
}

/** How many characters two URIs have in common from the start, 0 unless the scheme is among them. */
export function sharedStart(a: string, b: string): number {
  let shared = 0;
  while (shared < a.length && shared < b.length && a[shared] === b[shared]) shared++;
  return shared > a.indexOf(":") ? shared : 0;
}
