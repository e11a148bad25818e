import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type Handlebars from "handlebars";
import type { Log } from "../telemetry/log.ts";
import { BUILT_IN } from "./built-in-templates.ts";
import type { PageName } from "./built-in-templates.ts";
import { fromGoTemplate } from "./go-template.ts";

export type PageData = Readonly<Record<string, string | number | boolean | undefined>>;

type Render = (data: PageData) => string;

interface Loaded {
  /** What the file was like; undefined: there is none. */
  readonly stamp: string | undefined;
  readonly render: Render | undefined;
}

/**
 * The login pages: the operator's own where there are some, looked at again at each request, else those in the binary.
 * A page that is broken never stops a login: the one before it is shown, and the log names file and line.
 */
export class Pages {
  readonly #directory: string;
  readonly #log: Log;
  readonly #loaded = new Map<PageName, Loaded>();
  readonly #builtIn = new Map<PageName, Render>();
  #engine: Promise<typeof Handlebars> | undefined;

  /** @param directory `templateDir`; the pages are in its folder `oauth` */
  constructor(directory: string, log: Log) {
    this.#directory = join(directory, "oauth");
    this.#log = log;
  }

  /** Whether the operator has a page of this name that works. */
  async custom(name: PageName): Promise<boolean> {
    return (await this.#own(name)) !== undefined;
  }

  async render(name: PageName, data: PageData): Promise<string> {
    const own = await this.#own(name);
    if (own !== undefined) {
      try {
        return own(data);
      } catch (error) {
        this.#complain(name, error);
      }
    }
    return (await this.#builtInPage(name))(data);
  }

  async style(): Promise<string> {
    return await readFile(join(this.#directory, "style.css"), "utf8").catch(() => BUILT_IN["style.css"]);
  }

  async #builtInPage(name: PageName): Promise<Render> {
    const known = this.#builtIn.get(name);
    if (known !== undefined) return known;
    const render = await this.#compile(BUILT_IN[name]);
    this.#builtIn.set(name, render);
    return render;
  }

  async #own(name: PageName): Promise<Render | undefined> {
    const file = join(this.#directory, name);
    // The time of change too: who makes a file readable changes nothing else of it.
    const stamp = await stat(file).then(
      (found) => `${found.mtimeMs} ${found.ctimeMs} ${found.size} ${found.ino} ${found.isFile()}`,
      (error: NodeJS.ErrnoException) => (error.code === "ENOENT" ? undefined : `not there: ${error.code}`),
    );
    const before = this.#loaded.get(name);
    if (before?.stamp === stamp) return before?.render;
    let render: Render | undefined;
    if (stamp !== undefined) {
      try {
        const source = await readPage(file);
        // One that was ejected and never edited is the built-in page, and is treated like it.
        if (source !== BUILT_IN[name]) {
          render = await this.#compile(source);
          this.#log.info({ file }, "a login page of your own is in use");
        }
      } catch (error) {
        this.#complain(name, error);
        render = before?.render;
      }
    }
    this.#loaded.set(name, { stamp, render });
    return render;
  }

  async #compile(source: string): Promise<Render> {
    // 27 ms that a start, and a proxy without logins, need not spend.
    this.#engine ??= import("handlebars").then((module) => module.default);
    const engine = await this.#engine;
    const text = fromGoTemplate(source);
    const program = engine.parse(text);
    // `{{{Name}}}` would put a stranger's text into the page as it is.
    class Escaping extends engine.Visitor {
      override MustacheStatement(mustache: hbs.AST.MustacheStatement): void {
        mustache.escaped = true;
      }
    }
    new Escaping().accept(program);
    const compiled = engine.compile<PageData>(program, { knownHelpersOnly: true });
    // Compilation is lazy there: a mistake would show only at the first login.
    compiled({});
    return (data) => compiled(data);
  }

  #complain(name: PageName, error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    const line = /line (\d+)/i.exec(message)?.[1];
    const place = `${join(this.#directory, name)}${line === undefined ? "" : `:${line}`}`;
    this.#log.error(
      { file: place },
      `the login page ${place} is broken and not used: ${message.split("\n")[0]}; correct it, or make it again with --eject-templates-to`,
    );
  }
}

/** @throws Error for what is no page */
async function readPage(file: string): Promise<string> {
  // A pipe would be waited for without end.
  if (!(await stat(file)).isFile()) throw new Error("it is not a file");
  const source = await readFile(file, "utf8");
  // An editor may be about to write it.
  if (source.trim() === "") throw new Error("it is empty");
  return source;
}

/** A form without the field that binds it to the browser gets it: pages made for the Go program have none. */
export function withTransaction(html: string, transaction: string): string {
  if (html.includes(transaction)) return html;
  const field = `<input type="hidden" name="transaction" value="${transaction}">`;
  return html.replaceAll(/<form\b[^>]*>/gi, (form) => form + field);
}

/** A page of the operator's own that was made before there was a provider gets the button for it. */
export function withProvider(html: string, label: string): string {
  if (/\bvalue=["']?provider\b/.test(html)) return html;
  const button = `<p><button type="submit" name="action" value="provider" formnovalidate>Continue with ${Bun.escapeHTML(label)}</button></p>`;
  return html.replace(/<\/form>/i, () => button + "</form>");
}
