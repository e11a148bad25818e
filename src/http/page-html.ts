import { html, raw } from "hono/html";
import type { Html } from "./connect-html.ts";

export interface PageFrame {
  readonly title: string;
  /** Path that stands before every link. */
  readonly base: string;
  /** A page's own width and rules. */
  readonly kind: "wide" | "card-page";
  readonly script: boolean;
  readonly body: Html;
}

/** The frame of every page that is not a template of the login. Whatever is put into it is escaped. */
export function pageHtml({ title, base, kind, script, body }: PageFrame): Html {
  return html`${raw("<!doctype html>")}
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <meta name="robots" content="noindex" />
        <title>${title}</title>
        <link rel="icon" href="data:," />
        <link rel="stylesheet" href="${base}/oauth/style.css" />
        ${script ? html`<script src="${base}/oauth/page.js" defer></script>` : ""}
      </head>
      <body class="${kind}">
        ${body}
      </body>
    </html>`;
}

/**
 * Headers of these pages: nothing from elsewhere, no script but our own file, forms go to this server only, nobody
 * frames it.
 * @param leaves a form of it may lead to an identity provider: Chromium holds `form-action` against every redirect
 */
export function ownPageHeaders(leaves = false): Headers {
  const forms = leaves ? "" : "form-action 'self'; ";
  return new Headers({
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": `default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; ${forms}base-uri 'none'; frame-ancestors 'none'`,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    // The answer depends on who asks, and for what.
    Vary: "Accept, Cookie, Authorization",
  });
}
