import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { Watchdog } from "../../src/upstream/watchdog.ts";
import { groupMembers, until } from "./processes.ts";

const HELPER = join(import.meta.dir, "../fixtures/wire-orphans.ts");
const TREE = "sh -c 'sleep 300; :' & sleep 300";
const STUBBORN = "trap '' TERM; sh -c 'trap \"\" TERM; sleep 300; :' & sleep 300; sleep 300; :";

describe("watchdog", () => {
  test("leaves no orphan when the proxy is killed with SIGKILL", async () => {
    const proxy = Bun.spawn([process.execPath, HELPER, TREE, STUBBORN], { stdout: "pipe", stderr: "inherit" });
    const { value } = await proxy.stdout.getReader().read();
    const groups = JSON.parse(new TextDecoder().decode(value)) as number[];
    expect(groups).toHaveLength(2);
    await until("the trees stand", () => groups.every((group) => groupMembers(group).length >= 3));
    proxy.kill("SIGKILL");
    await proxy.exited;
    await until("every descendant is gone", () => groups.every((group) => groupMembers(group).length === 0));
  }, 30_000);

  test("ends what is still listed when it is stopped, and spares what was taken off", async () => {
    const watchdog = new Watchdog({ log: () => {} });
    await watchdog.ready();
    const start = (): Bun.Subprocess => Bun.spawn(["sleep", "300"], { detached: true });
    const [listed, spared] = [start(), start()];
    watchdog.add(listed.pid);
    watchdog.add(spared.pid);
    watchdog.remove(spared.pid);
    await watchdog.stop();
    await listed.exited;
    expect(listed.signalCode).toBe("SIGTERM");
    expect(spared.exitCode).toBeNull();
    expect(groupMembers(spared.pid)).toEqual([spared.pid]);
    spared.kill("SIGKILL");
    await spared.exited;
  }, 30_000);

  test("is replaced, with everything it guarded, when somebody ends it", async () => {
    const told = Promise.withResolvers<string>();
    const watchdog = new Watchdog({ log: told.resolve });
    await watchdog.ready();
    const child = Bun.spawn(["sleep", "300"], { detached: true });
    watchdog.add(child.pid);
    process.kill(watchdog.pid as number, "SIGKILL");
    expect(await told.promise).toContain("another one is started");
    await watchdog.ready();
    await watchdog.stop();
    await child.exited;
    expect(child.signalCode).toBe("SIGTERM");
  }, 30_000);

  test("says so where there is no shell", async () => {
    const messages: string[] = [];
    const watchdog = new Watchdog({ log: (message) => messages.push(message), shell: "/no/such/shell" });
    await watchdog.ready();
    await watchdog.ready();
    watchdog.add(4_000_000);
    watchdog.remove(4_000_000);
    await watchdog.stop();
    expect(messages).toHaveLength(1);
    expect(messages[0]).toContain("/no/such/shell");
  });

  test("does not keep the proxy running", async () => {
    const module = JSON.stringify(join(import.meta.dir, "../../src/upstream/watchdog.ts"));
    const code = `import { Watchdog } from ${module}; const w = new Watchdog({ log: () => {} }); await w.ready(); console.log("ready");`;
    const program = Bun.spawn([process.execPath, "-e", code], { stdout: "pipe", stderr: "pipe" });
    expect(await new Response(program.stdout).text()).toBe("ready\n");
    expect(await program.exited).toBe(0);
  }, 30_000);
});
