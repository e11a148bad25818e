import { HttpClient } from "../http/client.ts";
import { Launched, Place, faulty } from "../daemon/launch.ts";
import { seeded } from "../support/seeded.ts";
import { childrenOf } from "./footprint.ts";
import { Ledger } from "./ledger.ts";

export interface StormOptions {
  readonly seed: number;
  /** Ends after so many milliseconds, but not before the counts below are reached. */
  readonly ms: number;
  readonly calls: number;
  readonly kills: number;
  readonly servers: number;
  /** Sessions that call at the same time. */
  readonly callers: number;
  /** Milliseconds between kills. */
  readonly everyMs: number;
  /** Every so many kills it is the proxy itself; 0: never. */
  readonly proxyEvery: number;
}

export interface StormReport {
  calls: number;
  /** Calls answered with their own nonce. */
  good: number;
  /** Calls answered with an error of JSON-RPC or HTTP. */
  errors: number;
  /** Calls whose connection broke because the proxy itself was killed. */
  broken: number;
  kills: number;
  proxyKills: number;
  /** What must not be, in words. */
  readonly wrong: string[];
}

/** No answer for so long is a lost one. */
const LOST_MS = 20_000;

/**
 * Kills servers, and the proxy, at random under load, and checks each call at both ends: one answer or one error, never
 * another's, and no server has seen it twice.
 */
export class Storm implements AsyncDisposable {
  readonly report: StormReport = { calls: 0, good: 0, errors: 0, broken: 0, kills: 0, proxyKills: 0, wrong: [] };
  readonly #options: StormOptions;
  readonly #random: () => number;
  readonly #place = new Place();
  readonly #ledger = new Ledger(this.#place.file("ledger"));
  readonly #answered = new Set<string>();
  #port = 0;
  /** Until when a connection may break because the proxy it led to was killed: such ones may still be in the pool. */
  #excusedUntil = 0;
  #back: Promise<void> = Promise.resolve();
  #proxy!: Launched;
  #over = false;

  constructor(options: StormOptions) {
    this.#options = options;
    this.#random = seeded(options.seed);
  }

  get proxy(): Launched {
    return this.#proxy;
  }

  async run(): Promise<StormReport> {
    await this.#begin();
    const { ms, calls, kills, everyMs, callers } = this.#options;
    const began = performance.now();
    const running = Array.from({ length: callers }, (_, n) => this.#caller(n));
    while (performance.now() - began < ms || this.report.calls < calls || this.report.kills < kills) {
      await Bun.sleep(everyMs * (0.5 + this.#random()));
      if (this.report.kills < kills || performance.now() - began < ms) await this.#kill();
      // A machine that is too slow for the counts must not hang; the test that asked sees them.
      if (performance.now() - began > ms * 4 + 60_000) break;
    }
    this.#over = true;
    await Promise.all(running);
    this.#checkServers();
    return this.report;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over = true;
    await this.#proxy?.stop();
    this.#place[Symbol.dispose]();
  }

  async #begin(): Promise<void> {
    const servers: Record<string, unknown> = {};
    for (let n = 0; n < this.#options.servers; n++) servers[`s${n}`] = faulty({ FAULT_LEDGER: this.#ledger.file });
    this.#place.write(servers);
    this.#proxy = await Launched.up(this.#place);
    this.#port = Number(new URL(this.#proxy.url).port);
    // Its successors listen at the same place.
    this.#place.write(servers, { addr: `127.0.0.1:${this.#port}` });
  }

  async #caller(n: number): Promise<void> {
    const client = new HttpClient(`http://127.0.0.1:${this.#port}/s${n % this.#options.servers}/mcp`);
    for (let call = 0; !this.#over; call++) {
      await this.#back;
      const nonce = `${this.#options.seed}.${n}.${call}`;
      try {
        if (client.session === undefined) await client.initialize();
        this.report.calls++;
        this.#judge(nonce, await this.#ask(client, nonce));
      } catch (error) {
        if (client.session === undefined) await Bun.sleep(50);
        else if (String(error).includes("no answer")) this.report.wrong.push(String(error));
        else if (performance.now() > this.#excusedUntil) {
          this.report.wrong.push(`the connection of ${nonce} broke, and nobody killed the proxy: ${String(error)}`);
        } else this.report.broken++;
      }
    }
  }

  async #ask(client: HttpClient, nonce: string): ReturnType<HttpClient["request"]> {
    // Some are answered at once, some are open when something dies.
    const ms = this.#random() < 0.2 ? Math.floor(this.#random() * 50) : 0;
    let timer: Timer | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer to ${nonce}`)), LOST_MS);
    });
    const asked = client.request("tools/call", { name: "nonce", arguments: { nonce, ms } });
    return await Promise.race([asked, late]).finally(() => clearTimeout(timer));
  }

  #judge(nonce: string, { status, last, messages, text }: Awaited<ReturnType<HttpClient["request"]>>): void {
    const { wrong } = this.report;
    if (status === 404) return void wrong.push(`the session of ${nonce} is lost: ${text}`);
    const answers = messages.filter(({ method }) => method === undefined);
    if (answers.length > 1) wrong.push(`${answers.length} answers to ${nonce}: ${text}`);
    if (last.error !== undefined || status >= 400) {
      this.report.errors++;
      return;
    }
    const content = last.result?.["content"] as { text: string }[] | undefined;
    if (content?.[0]?.text !== nonce) return void wrong.push(`the answer to ${nonce} is ${text}`);
    this.report.good++;
    this.#answered.add(nonce);
  }

  async #kill(): Promise<void> {
    const { proxyEvery } = this.#options;
    this.report.kills++;
    if (proxyEvery > 0 && this.report.kills % proxyEvery === 0) {
      this.report.proxyKills++;
      this.#excusedUntil = Infinity;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#back = promise;
      await this.#proxy.stop(this.#random() < 0.5 ? "SIGKILL" : "SIGTERM");
      this.#proxy = await Launched.up(this.#place);
      this.#excusedUntil = performance.now() + 1_000;
      return resolve();
    }
    const started = new Set(this.#ledger.starts.map(({ pid }) => pid));
    const alive = childrenOf(this.#proxy.process.pid).filter((pid) => started.has(pid));
    const victim = alive[Math.floor(this.#random() * alive.length)];
    if (victim === undefined) this.report.kills--;
    else process.kill(victim, "SIGKILL");
  }

  #checkServers(): void {
    const seen = new Map<string, number>();
    for (const nonce of this.#ledger.all("nonce")) seen.set(nonce, (seen.get(nonce) ?? 0) + 1);
    for (const [nonce, times] of seen) {
      if (times > 1) this.report.wrong.push(`servers have seen ${nonce} ${times} times`);
    }
    for (const nonce of this.#answered) {
      if (!seen.has(nonce)) this.report.wrong.push(`${nonce} was answered and no server has seen it`);
    }
  }
}
