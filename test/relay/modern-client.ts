import { Inbox } from "./raw-client.ts";

export const VERSION = "2026-07-28";
const K = "io.modelcontextprotocol/";

export interface ModernOptions {
  /** Raw text of the capabilities. */
  readonly capabilities?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Raw members for `_meta`, beside the envelope. */
  readonly meta?: string;
}

const ALL = '{"sampling":{"tools":{}},"elicitation":{"form":{},"url":{}},"roots":{}}';

/** One POST that can be closed. */
export class Posted extends Inbox {
  readonly abort = new AbortController();
}

/** A stateless client that hides nothing and changes nothing. */
export class ModernClient {
  readonly url: string;
  readonly #options: ModernOptions;

  constructor(url: string, options: ModernOptions = {}) {
    this.url = url;
    this.#options = options;
  }

  /** @param params raw members of `params`, without `_meta` @param headers added; `""` takes one away */
  request(method: string, params = "", headers: Readonly<Record<string, string>> = {}, id = "1"): Posted {
    const { capabilities = ALL, meta } = this.#options;
    const envelope = `"${K}protocolVersion":"${VERSION}","${K}clientCapabilities":${capabilities},"${K}clientInfo":{"name":"raw","version":"0"}`;
    const whole = `"_meta":{${envelope}${meta === undefined ? "" : `,${meta}`}}${params === "" ? "" : `,${params}`}`;
    return this.post(`{"jsonrpc":"2.0","id":${id},"method":"${method}","params":{${whole}}}`, {
      "mcp-protocol-version": VERSION,
      "mcp-method": method,
      ...headers,
    });
  }

  /** @param more raw members of `params` */
  call(tool: string, more = "", id = "1"): Posted {
    return this.request("tools/call", `"name":"${tool}","arguments":{}${more}`, { "mcp-name": tool }, id);
  }

  post(text: string, headers: Readonly<Record<string, string>>): Posted {
    const inbox = new Posted();
    const all: Record<string, string> = {
      accept: "application/json, text/event-stream",
      "content-type": "application/json",
      ...this.#options.headers,
      ...headers,
    };
    for (const [name, value] of Object.entries(all)) if (value === "") delete all[name];
    fetch(this.url, { method: "POST", body: text, headers: all, signal: inbox.abort.signal })
      .then((response) => inbox.read(response))
      .catch(() => inbox.end());
    return inbox;
  }
}
