import { html } from "hono/html";
import { MCP_CLIENTS } from "./mcp-clients.ts";
import type { ClientTarget, McpClient, Step } from "./mcp-clients.ts";

export type Html = ReturnType<typeof html>;

/**
 * How to add one URL to each client: links first, then everything by hand. Nothing of it needs a script.
 * @param noted whether to say what a caller needs; not where the page has said so already
 */
export function connectHtml(target: ClientTarget, noted = true): Html {
  const linked = MCP_CLIENTS.flatMap((client) => {
    const link = client.link(target);
    return link === undefined
      ? []
      : [html`<a class="chip" href="${link}" rel="noreferrer"><span class="hidden">Add to </span>${client.title}</a>`];
  });
  const notes: Record<ClientTarget["access"], string> = {
    open: "Nobody has to log in.",
    token: "It needs a token, which the owner of this server gives out; put it in the place of YOUR_TOKEN.",
    login: "The client will ask you to log in.",
  };
  return html`${noted ? html`<p class="note">${notes[target.access]}</p>` : ""}
    ${linked.length === 0 ? "" : html`<p class="chips"><span aria-hidden="true">Add to</span> ${linked}</p>`}
    <div class="guides">${MCP_CLIENTS.map((client) => guideHtml(client, target))}</div>`;
}

function guideHtml(client: McpClient, target: ClientTarget): Html {
  return html`<details name="client" id="client-${client.id}">
    <summary>${client.title}</summary>
    <div class="guide">${client.steps(target).map(stepHtml)}</div>
  </details>`;
}

function stepHtml({ say, code }: Step): Html {
  return html`<p>${linkified(say)}</p>
    ${code === undefined ? "" : copyable(code, code.includes("\n") ? "block" : "line")}`;
}

/** Something to copy. The button appears where there are scripts; without them the text is selected by one click. */
export function copyable(text: string, kind: "line" | "block"): Html {
  return html`<div class="copy ${kind}">
    <pre tabindex="0"><code>${text}</code></pre>
  </div>`;
}

function linkified(text: string): Html {
  const [, before = text, url] = /^(.*?)(https:\/\/\S+)$/.exec(text) ?? [];
  return url === undefined ? html`${text}` : html`${before}<a href="${url}" rel="noreferrer">${url}</a>`;
}
