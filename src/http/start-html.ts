import { html } from "hono/html";
import { connectHtml, copyable } from "./connect-html.ts";
import type { Html } from "./connect-html.ts";
import { pageHtml } from "./page-html.ts";
import { count } from "./start-view.ts";
import type { EndpointView, StartView, ToolView } from "./start-view.ts";

/** The start page. */
export function startHtml(view: StartView): Html {
  const body = view.known ? overview(view) : stranger(view);
  return pageHtml({ title: view.name, base: view.base, kind: view.known ? "wide" : "card-page", script: true, body });
}

function stranger(view: StartView): Html {
  const [first] = view.endpoints;
  const login = first?.target.access === "login";
  return html`<main class="card">
    ${brand(view)}
    <h1>This is ${login || first === undefined ? "a private" : "an"} MCP gateway</h1>
    ${
      view.chosen === undefined
        ? html`<p>Its owner can tell you the addresses for your AI client.</p>`
        : html`<p>Add this URL to your AI client${login ? ", and it will ask you to log in" : ""}:</p>
            ${copyable(view.chosen.target.url, "line")} ${others(view)} ${connectHtml(view.chosen.target, !login)}`
    }
    ${view.canLogIn ? html`<p class="foot"><a href="${view.base}/login">Log in here to see what you may use</a></p>` : ""}
  </main>`;
}

/** Where the operator shows names to strangers. */
function others(view: StartView): Html {
  if (view.endpoints.length < 2) return html``;
  return html`<ul class="names">
    ${view.endpoints.map(
      (each) =>
        html`<li>
          <a
            href="${view.base}/?connect=${encodeURIComponent(each.id)}"
            ${each === view.chosen ? html`aria-current="true"` : ""}
            >${each.title}</a
          >
        </li>`,
    )}
  </ul>`;
}

function overview(view: StartView): Html {
  const whole = view.endpoints.filter(({ kind }) => kind !== "server");
  const servers = view.endpoints.filter(({ kind }) => kind === "server");
  return html`<header class="top">
      ${brand(view)}
      ${
        view.user === undefined
          ? view.canLogIn
            ? html`<a class="button small" href="${view.base}/login">Log in</a>`
            : ""
          : html`<div class="who">
              <span
                >Logged in as <strong><bdi>${view.user}</bdi></strong></span
              >
              <form method="post" action="${view.base}/logout">
                <input type="hidden" name="csrf" value="${view.csrf}" />
                <button type="submit" class="small">Log out</button>
              </form>
            </div>`
      }
    </header>
    <main>
      <h1>Your MCP servers</h1>
      ${whole.length > 0 ? html`<section aria-label="Endpoints">${whole.map((each) => wholeHtml(view, each))}</section>` : ""}
      ${
        servers.length > 0
          ? html`<section aria-labelledby="servers">
              <h2 id="servers">Servers</h2>
              ${servers.map((each) => serverHtml(view, each))}
            </section>`
          : ""
      }
      ${view.endpoints.length === 0 ? html`<p class="panel">There is nothing here that you may use.</p>` : ""}
      ${view.user === undefined ? "" : consentsHtml(view)}
    </main>`;
}

/** How to add it to each client, in the card it belongs to; the others lead there. */
function connectPart({ title, target }: EndpointView): Html {
  return html`<section id="connect" aria-label="Add ${title} to a client">
    <p class="lead" aria-hidden="true">Add it to a client</p>
    ${connectHtml(target)}
  </section>`;
}

function brand(view: StartView): Html {
  return html`<p class="brand">
    <span class="mark" aria-hidden="true"></span><span>${view.name}</span> <span class="host">${view.host}</span>
  </p>`;
}

function wholeHtml(view: StartView, each: EndpointView): Html {
  const tag = each.kind === "group" ? html` <span class="tag">group</span>` : "";
  return entryHtml(view, each, html`<h2><bdi>${each.title}</bdi>${tag}</h2>`);
}

function serverHtml(view: StartView, each: EndpointView): Html {
  return entryHtml(view, each, html`<h3><bdi>${each.title}</bdi></h3>`);
}

function entryHtml(view: StartView, each: EndpointView, heading: Html): Html {
  const chosen = each === view.chosen;
  return html`<article class="panel entry${chosen ? " chosen" : ""}">
    ${heading} ${stateHtml(each)} ${copyable(each.target.url, "line")}
    ${chosen ? connectPart(each) : addLink(view, each)} ${toolsHtml(each)}
  </article>`;
}

function stateHtml({ id, kind, inside, target }: EndpointView): Html {
  if (inside === undefined)
    return html`<p class="state shut">
      ${target.access === "login" ? "for those who log in" : "for those with a token"}
    </p>`;
  return html`<p class="state ${inside.state.kind}" data-state="${kind} ${id}">${inside.state.text}</p>`;
}

function addLink({ base }: StartView, { id, title }: EndpointView): Html {
  return html`<a class="button small" href="${base}/?connect=${encodeURIComponent(id)}#connect"
    >Add<span class="hidden"> ${title}</span> to a client</a
  >`;
}

function toolsHtml({ inside, title }: EndpointView): Html {
  if (inside === undefined || inside.tools.length + inside.leftOut === 0) return html``;
  const { tools, leftOut } = inside;
  return html`<details class="tools">
    <summary>Tools<span class="hidden"> of ${title}</span></summary>
    ${
      tools.length === 0
        ? ""
        : html`<ul>
            ${tools.map(toolHtml)}
          </ul>`
    }
    ${leftOut === 0 ? "" : html`<p class="note">${count(leftOut, "tool")} left out by toolFilter of the configuration.</p>`}
  </details>`;
}

/** All of this was written by the server: it is text here and nothing else. */
function toolHtml(tool: ToolView): Html {
  const { name, title, description, readOnly, destructive } = tool;
  return html`<li>
    <p>
      <code><bdi>${name}</bdi></code>
      ${title === undefined || title === name ? "" : html`<bdi class="note">${title}</bdi>`}
      ${readOnly ? html`<span class="tag good">read only</span>` : ""}
      ${destructive ? html`<span class="tag bad">may destroy</span>` : ""}
    </p>
    ${description === undefined ? "" : html`<p class="about" dir="auto">${description}</p>`}
  </li>`;
}

function consentsHtml(view: StartView): Html {
  return html`<section aria-labelledby="clients">
    <h2 id="clients">Clients that act for you</h2>
    ${
      view.consents.length === 0
        ? html`<p class="panel note">None yet. A client is listed here once you have allowed it.</p>`
        : html`<ul class="panel rows">
            ${view.consents.map(
              ({ client, name, since, lastUsed, reaches }) =>
                html`<li>
                  <div>
                    <strong><bdi>${name}</bdi></strong>
                    <p class="note">
                      since ${day(since)},
                      ${lastUsed === undefined ? "not used yet" : `last used ${ago(view.now - lastUsed)}`}, ${reaches}
                    </p>
                  </div>
                  <form method="post" action="${view.base}/consent/revoke">
                    <input type="hidden" name="csrf" value="${view.csrf}" />
                    <input type="hidden" name="client" value="${client}" />
                    <button type="submit" class="small danger">Revoke<span class="hidden"> ${name}</span></button>
                  </form>
                </li>`,
            )}
          </ul>`
    }
  </section>`;
}

function day(time: number): string {
  return new Date(time).toLocaleDateString("en-GB", {
    day: "numeric",
    month: "short",
    year: "numeric",
    timeZone: "UTC",
  });
}

function ago(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 1) return "just now";
  if (minutes < 60) return `${minutes} min ago`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ago` : `${Math.floor(hours / 24)} days ago`;
}
