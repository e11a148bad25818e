/**
 * Headers of every page people see. Nothing may frame it (clicks could be stolen), run in it, be loaded from elsewhere,
 * or learn its address. No `form-action`: Chromium holds it against every redirect behind the form, and the answer goes
 * to another site by design. No `Cross-Origin-Opener-Policy` either: apps in the web open the login in a window of its
 * own, and the page it ends at tells the one that opened it (`window.opener`), which that would cut off for good.
 * @param custom the operator's own page: older ones carry their styles inside
 */
export function pageHeaders(custom: boolean): Headers {
  const styles = custom ? "'self' 'unsafe-inline'" : "'self'";
  const images = custom ? "'self' data: https:" : "data:";
  return new Headers({
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": `default-src 'none'; style-src ${styles}; img-src ${images}; base-uri 'none'; frame-ancestors 'none'`,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
  });
}

/** A redirect carries a code or an error: nobody may keep it. */
export function redirectTo(location: string): Response {
  return new Response(null, {
    status: 303,
    headers: { Location: location, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer" },
  });
}
