import { recordOf } from "../protocol/parsed.ts";
import { find } from "../protocol/json.ts";
import { codeOf } from "../protocol/eras/errors.ts";
import { initializeFromDiscover, ownEnvelope, supportedVersions } from "../protocol/eras/hello.ts";
import { MODERN_VERSION, ModernCode } from "../protocol/eras/names.ts";
import { getKey } from "../protocol/eras/object-text.ts";
import { cachingOf } from "../protocol/eras/results.ts";
import type { Caching } from "../protocol/eras/results.ts";
import type { Message } from "../protocol/message.ts";
import { LATEST_LEGACY, isLegacyVersion } from "../protocol/versions.ts";
import type { Clock } from "../telemetry/clock.ts";
import { Fault } from "./fault.ts";

export type Era = "legacy" | "modern";

/** What is remembered of a server's era between its connections. */
export interface EraMemory {
  era: Era | undefined;
  /** It has answered `server/discover` before `initialize`, and gone on: it can be asked that again. */
  bearsProbe?: boolean;
}

/** What the proxy says of the client in `initialize`. */
export interface Declaration {
  readonly clientInfo: unknown;
  readonly capabilities: Readonly<Record<string, unknown>>;
}

/** What the upstream said of itself. */
export interface Introduction {
  readonly era: Era;
  /** Raw text of the result of `initialize`; made from `server/discover` in the modern era. */
  readonly text: string;
  readonly protocolVersion: string;
  readonly capabilities: Readonly<Record<string, unknown>>;
  /** How long what it said of itself may be kept; undefined in the legacy era, which says nothing of it. */
  readonly caching?: Caching;
}

/** Sends a request of the proxy's own and resolves with the response, be it an error. Rejects with a Fault. */
export type Ask = (method: string, params: object, headers?: Readonly<Record<string, string>>) => Promise<Message>;

/** A server that has not answered by then is asked in the other way too, and both answers are waited for. */
const SILENCE_MS = 5_000;
/** The same for one that was legacy the last time: hardly ever has it changed, and it may just be slow to start. */
const KNOWN_SILENCE_MS = 20_000;

/** Statuses of HTTP that say nothing about which protocol is spoken behind them. */
const UNDECIDED = new Set([401, 403, 429]);

type Verdict = { readonly era: "modern"; readonly introduction: Introduction } | { readonly era: "legacy" };

/**
 * Finds out which era a server speaks, and says hello in it (MCP 2026-07-28, basic/transports). No single code decides,
 * and a server that takes a minute to start is asked nothing twice.
 * @throws Fault when it cannot be reached or refuses both
 */
export async function greet(
  ask: Ask,
  declaration: Declaration,
  memory: EraMemory,
  clock: Clock,
): Promise<Introduction> {
  if (memory.era === "legacy") {
    const asked = initialize(ask, declaration);
    // Some end when they are asked anything before `initialize` is over; those are only waited for.
    const answer = memory.bearsProbe === true ? await orSilent(asked, KNOWN_SILENCE_MS, clock) : await asked;
    if (answer === undefined) {
      const introduction = await either(
        discover(ask, declaration).catch((error: unknown) => {
          memory.bearsProbe = false;
          throw error;
        }),
        asked.then(legacyIntroduction),
      );
      memory.era = introduction.era;
      return introduction;
    }
    if (answer.result !== undefined) return legacyIntroduction(answer);
    // It has changed since, or what was remembered was only a guess.
    memory.era = undefined;
  }
  const introduction = await probe(ask, declaration, memory, clock);
  memory.era = introduction.era;
  return introduction;
}

async function probe(ask: Ask, declaration: Declaration, memory: EraMemory, clock: Clock): Promise<Introduction> {
  const discovered = discover(ask, declaration).catch((error: unknown) => {
    // Servers exist that end when they are asked anything before `initialize`: next time that comes first.
    if (error instanceof Fault && error.code === "upstream.exited") memory.era = "legacy";
    throw error;
  });
  const first = await orSilent(discovered, SILENCE_MS, clock);
  if (first?.era === "modern") return first.introduction;
  const initialized = initialize(ask, declaration).then(legacyIntroduction);
  if (first === undefined) return await either(discovered, initialized);
  const introduction = await initialized;
  memory.bearsProbe = true;
  return introduction;
}

/** Waits for an answer. @returns undefined when there is none by then */
async function orSilent<T>(answer: Promise<T>, ms: number, clock: Clock): Promise<T | undefined> {
  const silence = Promise.withResolvers<undefined>();
  const stop = clock.after(ms, () => silence.resolve(undefined));
  return await Promise.race([answer, silence.promise]).finally(stop);
}

/** The first positive answer of two ways of asking. @throws what `initialize` failed with */
async function either(discovered: Promise<Verdict>, initialized: Promise<Introduction>): Promise<Introduction> {
  const modern = discovered.then((verdict) => {
    if (verdict.era === "modern") return verdict.introduction;
    throw new Fault("upstream.protocol", "the server does not know server/discover");
  });
  try {
    return await Promise.any([modern, initialized]);
  } catch {
    return await initialized;
  }
}

function initialize(ask: Ask, { capabilities, clientInfo }: Declaration): Promise<Message> {
  return ask("initialize", { protocolVersion: LATEST_LEGACY, capabilities, clientInfo });
}

async function discover(ask: Ask, declaration: Declaration, again = false): Promise<Verdict> {
  let answer: Message;
  try {
    answer = await ask(
      "server/discover",
      { _meta: ownEnvelope(declaration.clientInfo, MODERN_VERSION) },
      { "mcp-protocol-version": MODERN_VERSION, "mcp-method": "server/discover" },
    );
  } catch (error) {
    const { status, code } = error instanceof Fault ? error : { status: undefined, code: undefined };
    const refused = status !== undefined && status >= 400 && status < 500 && !UNDECIDED.has(status);
    if (refused || code === "upstream.protocol") return { era: "legacy" };
    throw error;
  }
  if (answer.result !== undefined) {
    const text = answer.slice(answer.result);
    const versions = supportedVersions(text);
    // Some servers answer `{}` to anything.
    if (versions === undefined) return { era: "legacy" };
    return versions.includes(MODERN_VERSION)
      ? { era: "modern", introduction: modernIntroduction(text) }
      : strange(versions);
  }
  const error = answer.error === undefined ? "{}" : answer.slice(answer.error);
  switch (codeOf(error)) {
    case ModernCode.unsupportedVersion: {
      const raw = getKey(getKey(error, "data") ?? "{}", "supported");
      const supported: unknown = raw === undefined ? [] : JSON.parse(raw);
      const versions = Array.isArray(supported) ? supported.map(String) : [];
      if (versions.includes(MODERN_VERSION) && !again) return await discover(ask, declaration, true);
      return strange(versions);
    }
    case ModernCode.headerMismatch:
    case ModernCode.missingCapability:
      if (!again) return await discover(ask, declaration, true);
      throw new Fault("upstream.protocol", "the server refuses server/discover", { detail: error });
    default:
      return { era: "legacy" };
  }
}

/** A server that speaks none of our stateless versions may still speak one with sessions. */
function strange(versions: readonly string[]): Verdict {
  if (versions.length === 0 || versions.some(isLegacyVersion)) return { era: "legacy" };
  const detail = `it speaks ${versions.join(", ").slice(0, 200)}`;
  throw new Fault("upstream.protocol", "the server speaks only versions of the protocol that are not known here", {
    detail,
  });
}

function modernIntroduction(discover: string): Introduction {
  const text = initializeFromDiscover(discover, LATEST_LEGACY);
  const capabilities = objectIn(text, "capabilities");
  return { era: "modern", text, protocolVersion: MODERN_VERSION, capabilities, caching: cachingOf(discover) };
}

function legacyIntroduction(answer: Message): Introduction {
  if (answer.result === undefined) {
    const detail = answer.error === undefined ? "" : answer.slice(answer.error);
    throw new Fault("upstream.protocol", "the server answered initialize with an error", { detail });
  }
  const text = answer.slice(answer.result);
  const version = find(text, 0, "protocolVersion");
  const parsed: unknown = version === undefined ? undefined : JSON.parse(text.slice(version.start, version.end));
  if (typeof parsed !== "string") {
    throw new Fault("upstream.protocol", "the server answered initialize without a protocolVersion", {
      detail: text.slice(0, 500),
    });
  }
  return { era: "legacy", text, protocolVersion: parsed, capabilities: objectIn(text, "capabilities") };
}

function objectIn(text: string, key: string): Record<string, unknown> {
  const raw = getKey(text, key);
  return recordOf(raw === undefined ? {} : JSON.parse(raw));
}
