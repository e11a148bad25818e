import { expect, test } from "bun:test";
import { cpSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SqliteStore } from "../../src/store/sqlite-store.ts";
import { systemClock } from "../../src/telemetry/clock.ts";
import { storeConformance } from "./conformance.ts";

const scratch = (): string => mkdtempSync(join(tmpdir(), "mcp-proxy-store-"));

storeConformance("SQLite", async () => {
  const directory = scratch();
  let now = Date.now();
  const clock = { ...systemClock, now: () => now };
  const open = [SqliteStore.open(directory, clock).store];
  return {
    store: open[0] as SqliteStore,
    setNow: (value) => void (now = value),
    reopen: async () => {
      // The files as they are at this moment, with nothing closed: what a crash leaves.
      cpSync(directory, `${directory}-crashed`, { recursive: true });
      const again = SqliteStore.open(`${directory}-crashed`, clock).store;
      open.push(again);
      return again;
    },
    dispose: async () => {
      await Promise.all(open.map((store) => store.close()));
      for (const each of [directory, `${directory}-crashed`]) rmSync(each, { recursive: true, force: true });
    },
  };
});

test("the directory and every file in it are closed to others, from the first moment", async () => {
  const directory = scratch();
  const { store } = SqliteStore.open(join(directory, "deep/state"), systemClock);
  await store.set(["a"], "1");
  const inside = join(directory, "deep/state");
  expect(statSync(inside).mode & 0o777).toBe(0o700);
  for (const name of readdirSync(inside))
    expect([name, statSync(join(inside, name)).mode & 0o777]).toEqual([name, 0o600]);
  await store.close();
  rmSync(directory, { recursive: true });
});

test("the log does not grow from sweep to sweep, and what was in it is in the database", async () => {
  const directory = mkdtempSync(join(tmpdir(), "mcp-proxy-store-"));
  const { store } = SqliteStore.open(directory, systemClock);
  const sizes: number[] = [];
  for (let round = 0; round < 6; round++) {
    await Promise.all(Array.from({ length: 200 }, (_, i) => store.set(["x", String(i)], `${round}`.repeat(4_000))));
    await store.sweep();
    sizes.push(statSync(join(directory, "state.db-wal")).size);
  }
  expect(Math.max(...sizes)).toBeLessThan(2 * (sizes[0] ?? 0));
  expect(statSync(join(directory, "state.db")).size).toBeGreaterThan(200 * 4_000);
  expect(await store.get(["x", "7"])).toBe("5".repeat(4_000));
  await store.close();
  rmSync(directory, { recursive: true });
});

test("a damaged file is put aside, not overwritten", async () => {
  const directory = scratch();
  writeFileSync(join(directory, "state.db"), "this is no database, but somebody may still want it".repeat(100));
  const { store, damaged } = SqliteStore.open(directory, systemClock);
  expect(damaged).toContain("state.db.damaged-");
  expect(await Bun.file(damaged ?? "").text()).toStartWith("this is no database");
  await store.set(["a"], "1");
  expect(await store.get(["a"])).toBe("1");
  await store.close();
  rmSync(directory, { recursive: true });
});

test("kill -9 in full flight loses nothing that was acknowledged", async () => {
  const directory = scratch();
  const script = `
    import { SqliteStore } from ${JSON.stringify(join(import.meta.dir, "../../src/store/sqlite-store.ts"))};
    import { systemClock } from ${JSON.stringify(join(import.meta.dir, "../../src/telemetry/clock.ts"))};
    const { store } = SqliteStore.open(${JSON.stringify(directory)}, systemClock);
    const write = async (writer) => {
      for (let i = 0; ; i++) {
        await store.set(["k", writer + "-" + i], "v");
        process.stdout.write(writer + "-" + i + "\\n");
      }
    };
    for (let w = 0; w < 10; w++) void write("w" + w);`;
  const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", stderr: "inherit" });
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of child.stdout) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > 3_000 && !child.killed) child.kill("SIGKILL");
  }
  await child.exited;
  const acknowledged = text.slice(0, text.lastIndexOf("\n")).split("\n");
  const { store } = SqliteStore.open(directory, systemClock);
  const kept = new Set((await store.scan(["k"])).map(({ key }) => key[1]));
  expect(acknowledged.length).toBeGreaterThan(100);
  expect(acknowledged.filter((id) => !kept.has(id))).toEqual([]);
  await store.close();
  rmSync(directory, { recursive: true });
});

test("a second process on the same directory is refused", async () => {
  const directory = scratch();
  const { store } = SqliteStore.open(directory, systemClock);
  const script = `
    import { SqliteStore } from ${JSON.stringify(join(import.meta.dir, "../../src/store/sqlite-store.ts"))};
    import { systemClock } from ${JSON.stringify(join(import.meta.dir, "../../src/telemetry/clock.ts"))};
    try { SqliteStore.open(${JSON.stringify(directory)}, systemClock); console.log("opened"); }
    catch (error) { console.log(error.constructor.name, error.message); }`;
  const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", stderr: "inherit" });
  expect(await new Response(child.stdout).text()).toStartWith(
    `StoreUnusable another mcp-proxy keeps its logins in ${directory}:`,
  );
  await store.close();
  rmSync(directory, { recursive: true });
});
