import { statSync } from "node:fs";

/** How often a file is looked at; a URL is asked less often, for it is somebody else's server. */
const FILE_MS = 1_000;
const URL_MS = 4_000;

export interface WatchDeps {
  /** What was read when the configuration was loaded: a change since then is one. */
  readonly known: string | undefined;
  /** Reads the whole source, `undefined` while it cannot be read. */
  readonly read: () => Promise<string | undefined>;
  readonly every: (ms: number, call: () => void) => () => void;
  readonly changed: () => void;
}

/**
 * Looks again and again whether a configuration has changed. Asking sees what notifications do not: network mounts, a
 * file replaced by renaming, and the symbolic links that Kubernetes swaps. A file that is gone for a moment has not
 * changed.
 * @param path undefined for a URL
 * @returns ends the watch
 */
export function watchSource(path: string | undefined, deps: WatchDeps): () => void {
  let { known } = deps;
  let facts = "";
  let reading = false;
  const look = (): void => {
    if (reading) return;
    if (path !== undefined) {
      const now = factsOf(path);
      if (now === facts || now === "") return;
      facts = now;
    }
    reading = true;
    void deps.read().then((text) => {
      reading = false;
      if (text === undefined) return;
      const changed = known !== undefined && known !== text;
      known = text;
      if (changed) deps.changed();
    });
  };
  look();
  return deps.every(path === undefined ? URL_MS : FILE_MS, look);
}

function factsOf(path: string): string {
  const facts = statSync(path, { throwIfNoEntry: false });
  return facts === undefined ? "" : `${facts.dev} ${facts.ino} ${facts.size} ${facts.mtimeMs}`;
}
