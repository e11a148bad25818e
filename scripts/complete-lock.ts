/**
 * Adds to package-lock.json the platform packages that npm left out.
 *
 * npm drops an optional package from the lock file when the registry it asked does not have it (a mirror often holds
 * only the platforms its users have). `npm ci` then refuses the lock file everywhere, and on the platforms left out a
 * tool would lack its native part. Their versions are exact in the package that wants them, and their names tell the
 * platform. They carry no checksum: this machine never saw them.
 *
 * Usage, after every `npm install`: bun scripts/complete-lock.ts
 */
interface Locked {
  version?: string;
  dev?: boolean;
  optional?: boolean;
  os?: string[];
  cpu?: string[];
  libc?: string[];
  optionalDependencies?: Record<string, string>;
}
interface LockFile {
  packages: Record<string, Locked>;
}

const exact = /^\d+\.\d+\.\d+(-[\w.]+)?$/;
const systems = new Set(["linux", "darwin", "win32", "freebsd", "android", "openharmony"]);
const processors = new Set(["x64", "arm64", "arm", "ia32", "ppc64", "riscv64", "s390x"]);

/** Adds what is missing and returns the names added. Throws when a version is no exact one or a platform is unknown. */
export function completeLock(lock: LockFile): string[] {
  const added: string[] = [];
  for (const [at, parent] of Object.entries(lock.packages)) {
    for (const [name, version] of Object.entries(parent.optionalDependencies ?? {})) {
      if (isLocked(lock, at, name)) continue;
      if (!exact.test(version)) throw new Error(`${at}: ${name} ${version} is not an exact version; lock it by hand`);
      const entry: Locked = { version, ...platformOf(name), optional: true };
      if (parent.dev === true) entry.dev = true;
      lock.packages[`node_modules/${name}`] = entry;
      added.push(`${name}@${version}`);
    }
  }
  const byPath = ([a]: [string, Locked], [b]: [string, Locked]): number => a.localeCompare(b, "en");
  if (added.length > 0) lock.packages = Object.fromEntries(Object.entries(lock.packages).toSorted(byPath));
  return added;
}

/** Node looks for a package in the folder of the one that wants it, and then upwards. */
function isLocked(lock: LockFile, from: string, name: string): boolean {
  for (let at = from; ; at = at.slice(0, Math.max(0, at.lastIndexOf("/node_modules/")))) {
    if (`${at === "" ? "" : `${at}/`}node_modules/${name}` in lock.packages) return true;
    if (at === "") return false;
  }
}

/** Reads `linux-x64-gnu`, `darwin-arm64` and the like, as native packages are named. */
function platformOf(name: string): Pick<Locked, "os" | "cpu" | "libc"> {
  const [os = "", cpu = "", abi = ""] = name.replace(/^.*\/(binding-)?/, "").split("-");
  if (!systems.has(os) || !processors.has(cpu)) throw new Error(`${name}: unknown platform; lock it by hand`);
  const libc = abi.startsWith("musl") ? "musl" : abi.startsWith("gnu") ? "glibc" : undefined;
  return { os: [os], cpu: [cpu], ...(libc && os === "linux" && { libc: [libc] }) };
}

if (import.meta.main) {
  const file = Bun.file(new URL("../package-lock.json", import.meta.url));
  const lock = (await file.json()) as LockFile;
  const added = completeLock(lock);
  if (added.length > 0) await Bun.write(file, `${JSON.stringify(lock, undefined, 2)}\n`);
  console.log(added.length === 0 ? "package-lock.json is complete" : `locked as well:\n  ${added.join("\n  ")}`);
}
