import { Database } from "bun:sqlite";
import { chmodSync, closeSync, existsSync, fdatasync, mkdirSync, openSync, renameSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../telemetry/clock.ts";
import { keyOf, keyText } from "./key-text.ts";
import { StoreUnusable } from "./state-store.ts";
import type { StateEntry, StateKey, StateStore } from "./state-store.ts";

const SCHEMA_VERSION = 1;
/** 40 MB of log between two sweeps; more is brought into the database at once. */
const MAX_LOG_PAGES = 10_000;

export interface OpenedStore {
  readonly store: SqliteStore;
  /** There was no state here before. */
  readonly fresh: boolean;
  /** Where a file that could not be read was put, so that nothing is lost. */
  readonly damaged: string | undefined;
}

interface Row {
  readonly key: string;
  readonly value: string;
}

/**
 * State in one SQLite file. Writes go into the write-ahead log at once, which a killed process does not lose; before a
 * promise resolves, one `fdatasync` shared by all who wait makes them outlive a power cut too.
 */
export class SqliteStore implements StateStore {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #log: number;
  /** Something since the log was last brought into the database. */
  #written = true;
  #syncing: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  /**
   * @throws StoreUnusable when another process has it open, or it cannot be written
   */
  static open(directory: string, clock: Clock): OpenedStore {
    try {
      return SqliteStore.#open(directory, clock);
    } catch (error) {
      if (error instanceof StoreUnusable) throw error;
      throw new StoreUnusable(
        `the logins cannot be kept in ${directory}: ${error instanceof Error ? error.message : String(error)} (oauth2.persistenceDir)`,
      );
    }
  }

  static #open(directory: string, clock: Clock): OpenedStore {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    // Tokens of others lie here, hashed or not: a directory made by hand may be open to everybody.
    chmodSync(directory, 0o700);
    const file = join(directory, "state.db");
    const fresh = !existsSync(file);
    let damaged: string | undefined;
    let database: Database;
    try {
      database = openDatabase(file);
    } catch (error) {
      if (isBusy(error))
        throw new StoreUnusable(
          `another mcp-proxy keeps its logins in ${directory}: stop it, or give this one a directory of its own (oauth2.persistenceDir)`,
        );
      if (!isDamage(error)) throw error;
      damaged = `${file}.damaged-${new Date(clock.now()).toISOString().replaceAll(/[:.]/g, "-")}`;
      renameSync(file, damaged);
      for (const suffix of ["-wal", "-journal"]) {
        if (existsSync(file + suffix)) renameSync(file + suffix, damaged + suffix);
      }
      database = openDatabase(file);
    }
    return { store: new SqliteStore(database, openSync(`${file}-wal`, "r"), clock), fresh, damaged };
  }

  private constructor(database: Database, log: number, clock: Clock) {
    this.#database = database;
    this.#log = log;
    this.#clock = clock;
  }

  get(key: StateKey): Promise<string | undefined> {
    const row = this.#database
      .query<Row, [string, number]>("SELECT key, value FROM state WHERE key = ?1 AND (expires IS NULL OR expires > ?2)")
      .get(keyText(key), this.#clock.now());
    return Promise.resolve(row?.value);
  }

  async set(key: StateKey, value: string, expiresAt?: number): Promise<void> {
    this.#database
      .query(
        "INSERT INTO state (key, value, expires) VALUES (?1, ?2, ?3) ON CONFLICT (key) DO UPDATE SET value = ?2, expires = ?3",
      )
      .run(keyText(key), value, expiresAt ?? null);
    await this.#durable();
  }

  async delete(key: StateKey): Promise<void> {
    this.#database.query("DELETE FROM state WHERE key = ?1").run(keyText(key));
    await this.#durable();
  }

  async take(key: StateKey): Promise<string | undefined> {
    const row = this.#database
      .query<Row & { expires: number | null }, [string]>(
        "DELETE FROM state WHERE key = ?1 RETURNING key, value, expires",
      )
      .get(keyText(key));
    await this.#durable();
    return row === null || (row.expires !== null && row.expires <= this.#clock.now()) ? undefined : row.value;
  }

  scan(prefix: StateKey): Promise<StateEntry[]> {
    const start = keyText(prefix);
    // U+0000 ends the prefix; what follows it is below U+0001.
    const end = `${start.slice(0, -1)}\u0001`;
    const rows = this.#database
      .query<Row, [string, string, number]>(
        "SELECT key, value FROM state WHERE key > ?1 AND key < ?2 AND (expires IS NULL OR expires > ?3) ORDER BY key",
      )
      .all(start, end, this.#clock.now());
    return Promise.resolve(rows.map(({ key, value }) => ({ key: keyOf(key), value })));
  }

  async sweep(): Promise<void> {
    const { changes } = this.#database.query("DELETE FROM state WHERE expires <= ?1").run(this.#clock.now());
    if (changes > 0 || this.#written) await this.#durable();
    if (!this.#written) return;
    this.#written = false;
    // Here and not after so many pages: it waits for the disk, and with it all calls that are relayed meanwhile. That of
    // the log has just been waited for elsewhere.
    this.#database.run("PRAGMA wal_checkpoint(PASSIVE)");
  }

  async close(): Promise<void> {
    await this.#durable();
    closeSync(this.#log);
    this.#database.close();
  }

  /** Those who come while one is under way share the next: that one began after their change. */
  #durable(): Promise<void> {
    this.#written = true;
    if (this.#syncing === undefined) return (this.#syncing = this.#sync());
    this.#next ??= this.#syncing
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        return (this.#syncing = this.#sync());
      });
    return this.#next;
  }

  #sync(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    fdatasync(this.#log, (error) => {
      if (this.#next === undefined) this.#syncing = undefined;
      if (error === null) resolve();
      else reject(error);
    });
    return promise;
  }
}

function openDatabase(file: string): Database {
  // Closed to others from the first byte; SQLite itself would create it readable for everybody.
  closeSync(openSync(file, "a", 0o600));
  chmodSync(file, 0o600);
  const database = new Database(file, { strict: true });
  try {
    // Exclusive before WAL: no shared memory file, which network volumes cannot do, and a second process is refused.
    database.run("PRAGMA locking_mode = EXCLUSIVE");
    database.run("PRAGMA journal_mode = WAL");
    database.run("PRAGMA synchronous = NORMAL");
    database.run(`PRAGMA wal_autocheckpoint = ${MAX_LOG_PAGES}`);
    const version = database.query<{ user_version: number }, []>("PRAGMA user_version").get()?.user_version ?? 0;
    if (version > SCHEMA_VERSION) {
      throw new Error(
        `${file} was written by a newer version of mcp-proxy (schema ${version}); use that one, or another persistenceDir`,
      );
    }
    const health = database.query<{ quick_check: string }, []>("PRAGMA quick_check").get()?.quick_check;
    if (health !== "ok") throw Object.assign(new Error(`damaged: ${health}`), { code: "SQLITE_CORRUPT" });
    database.run(
      "CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, value TEXT NOT NULL, expires INTEGER) WITHOUT ROWID",
    );
    database.run("CREATE INDEX IF NOT EXISTS state_expires ON state (expires) WHERE expires IS NOT NULL");
    database.run(`PRAGMA user_version = ${SCHEMA_VERSION}`);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

function isBusy(error: unknown): boolean {
  return /^SQLITE_(BUSY|LOCKED)/.test(String((error as { code?: unknown }).code));
}

function isDamage(error: unknown): boolean {
  return /^SQLITE_(CORRUPT|NOTADB)/.test(String((error as { code?: unknown }).code));
}
