import { html } from "hono/html";
import { connectHtml, copyable } from "./connect-html.ts";
import type { Html } from "./connect-html.ts";
import { pageHtml } from "./page-html.ts";
import type { ClientTarget } from "./mcp-clients.ts";

export interface LoginForm {
  readonly name: string;
  readonly base: string;
  /** Binds the form to the browser it was made for. */
  readonly token: string;
  readonly username: string;
  readonly message: string | undefined;
  /** What the button of the identity provider says. */
  readonly provider: string | undefined;
  /** Whether anybody logs in with a password here. */
  readonly passwords: boolean;
}

/** The form for a login on the start page. */
export function loginHtml({ name, base, token, username, message, provider, passwords }: LoginForm): Html {
  const body = html`<main class="card">
    <p class="brand"><span class="mark" aria-hidden="true"></span>${name}</p>
    <h1>Log in</h1>
    <p>To see the servers you may use, and which clients act for you.</p>
    ${message === undefined ? "" : html`<p class="alert" role="alert">${message}</p>`}
    <form method="post" action="${base}/login">
      <input type="hidden" name="token" value="${token}" />
      ${passwords ? passwordFields(username) : ""}
      ${
        provider === undefined
          ? ""
          : html`<button
              type="submit"
              name="action"
              value="provider"
              formnovalidate
              class="${passwords ? "" : "primary"}"
            >
              Continue with ${provider}
            </button>`
      }
      <p class="foot"><a href="${base}/">Cancel</a></p>
    </form>
  </main>`;
  return pageHtml({ title: `Log in · ${name}`, base, kind: "card-page", script: false, body });
}

function passwordFields(username: string): Html {
  return html`<label for="username">User name</label>
    <input
      id="username"
      name="username"
      type="text"
      value="${username}"
      autocomplete="username"
      autocapitalize="none"
      spellcheck="false"
      required
      maxlength="256"
      ${username === "" ? html`autofocus` : ""}
    />
    <label for="password">Password</label>
    <input
      id="password"
      name="password"
      type="password"
      autocomplete="current-password"
      required
      maxlength="1024"
      ${username === "" ? "" : html`autofocus`}
    />
    <p>
      <button type="submit" class="primary">Log in</button>
    </p>`;
}

export interface Explained {
  readonly name: string;
  readonly base: string;
  readonly status: number;
  /** Undefined where there is no endpoint. */
  readonly target: ClientTarget | undefined;
  /** What the endpoint itself says is wrong. */
  readonly reason: string | undefined;
}

/** What a person sees who opens the address of an endpoint in a browser. */
export function endpointHtml({ name, base, status, target, reason }: Explained): Html {
  const told = reason === undefined ? undefined : html`<p class="alert" role="alert">${reason}</p>`;
  const body = html`<main class="card">
    <p class="brand"><span class="mark" aria-hidden="true"></span>${name}</p>
    ${
      target === undefined
        ? html`<h1>${status === 403 ? "This is not allowed here" : "There is no MCP endpoint at this address"}</h1>
            ${told ?? html`<p>Look at how it is written, or ask the owner of this server.</p>`}`
        : html`<h1>This is an MCP endpoint</h1>
            <p>It is for AI clients, not for browsers. Add its address to your client:</p>
            ${copyable(target.url, "line")} ${told ?? ""} ${connectHtml(target)}`
    }
    <p class="foot"><a href="${base}/">Start page</a> <span class="note">HTTP status ${status}</span></p>
  </main>`;
  return pageHtml({
    title: target === undefined ? `Not found · ${name}` : `MCP endpoint · ${name}`,
    base,
    kind: "card-page",
    script: true,
    body,
  });
}

/** A short message, with a way back. */
export function messageHtml(name: string, base: string, title: string, text: string): Html {
  const body = html`<main class="card">
    <p class="brand"><span class="mark" aria-hidden="true"></span>${name}</p>
    <h1>${title}</h1>
    <p class="alert" role="alert">${text}</p>
    <p class="foot"><a href="${base}/">Start page</a></p>
  </main>`;
  return pageHtml({ title: `${title} · ${name}`, base, kind: "card-page", script: false, body });
}
