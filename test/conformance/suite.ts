/** The official suite, one scenario at a time, so that what each one sent can be told apart. */
import { mkdtemp } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import type { Revision } from "./cells.ts";
import type { Processes } from "./processes.ts";

/** Of one scenario; the slowest one passes in 6 s. */
const SCENARIO_TIMEOUT_MS = 20_000;

const PACKAGE = dirname(Bun.resolveSync("@modelcontextprotocol/conformance/package.json", import.meta.dir));

const Requirements = z.object({
  server: z.array(z.string()),
  not_scored: z.array(z.object({ scenario: z.string(), leg: z.string(), reason: z.string() })),
});

const Checks = z.array(
  z.object({
    id: z.string(),
    status: z.enum(["SUCCESS", "FAILURE", "WARNING", "SKIPPED", "INFO"]),
    errorMessage: z.string().optional(),
  }),
);

export interface Scenarios {
  readonly scored: readonly string[];
  /** Run for the eye; extensions are left out. */
  readonly unscored: readonly string[];
}

/** What the suite froze as required of a server at the release of a revision. */
export async function scenariosOf(revision: Revision): Promise<Scenarios> {
  const file = await Bun.file(join(PACKAGE, "requirements", `${revision}.yaml`)).text();
  const { server, not_scored } = Requirements.parse(Bun.YAML.parse(file));
  const unscored = not_scored.filter(({ leg, reason }) => leg === "server" && reason !== "extension");
  return { scored: server, unscored: unscored.map(({ scenario }) => scenario) };
}

export interface Verdict {
  readonly passed: boolean;
  /** Nothing failed; the suite itself calls that passed. */
  readonly onlyWarned: boolean;
  readonly succeeded: number;
  /** Checks that say something about the server. */
  readonly judged: number;
  readonly complaints: readonly string[];
}

/**
 * Stricter than the suite's own exit code, which is 0 for a scenario that was skipped or only warned.
 *
 * @param directory For the results, which are kept there.
 */
export async function runScenario(
  processes: Processes,
  directory: string,
  url: string,
  revision: Revision,
  scenario: string,
): Promise<Verdict> {
  const results = await mkdtemp(join(directory, "results-"));
  const command = [process.execPath, join(PACKAGE, "dist", "index.js"), "server", "--url", url];
  command.push("--scenario", scenario, "--spec-version", revision, "--force", "--output-dir", results);
  command.push("--timeout", String(SCENARIO_TIMEOUT_MS));
  const output = await processes.run(command, directory, 2 * SCENARIO_TIMEOUT_MS);

  const [file] = await Array.fromAsync(new Bun.Glob("*/checks.json").scan(results));
  if (file === undefined)
    return { passed: false, onlyWarned: false, succeeded: 0, judged: 0, complaints: [`no result:\n${output}`] };
  const checks = Checks.parse(await Bun.file(join(results, file)).json());
  const judged = checks.filter(({ status }) => ["SUCCESS", "FAILURE", "WARNING"].includes(status));
  const bad = judged.filter(({ status }) => status !== "SUCCESS");
  const complaints = bad.map(({ status, id, errorMessage }) => `${status} ${id}: ${errorMessage ?? "no reason given"}`);
  const onlyWarned = bad.every(({ status }) => status === "WARNING");
  const succeeded = judged.length - bad.length;
  return { passed: bad.length === 0 && succeeded > 0, onlyWarned, succeeded, judged: judged.length, complaints };
}
