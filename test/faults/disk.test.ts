import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { Launched, Place, faulty } from "../daemon/launch.ts";
import { connect } from "../http/client.ts";
import { program, testWith } from "../support/programs.ts";

/** Whether this user may mount; a full disk cannot be had otherwise. */
const able =
  process.platform === "linux" &&
  Bun.which("unshare") !== null &&
  Bun.spawnSync(["unshare", "--mount", "sh", "-c", "mount -t tmpfs -o size=64k none /mnt"]).exitCode === 0;
const needed = able ? program("unshare") : { name: "unshare with the right to mount", path: undefined };

async function serves(proxy: Launched): Promise<void> {
  const client = await connect(`${proxy.url}/it/mcp`);
  expect(await client.call("nonce", { nonce: "well" })).toBe("well");
}

describe("a place for state that cannot be written", () => {
  for (const { what, mount } of [
    { what: "a full disk", mount: "mount -t tmpfs -o size=64k none state && (cat /dev/zero > state/filler || true)" },
    { what: "a read-only file system", mount: "mount -t tmpfs -o ro none state" },
  ]) {
    testWith(
      needed,
      `${what}: it serves with a key for this run, and a warning names the directory`,
      async (unshare) => {
        using place = new Place();
        mkdirSync(place.file("state"));
        place.write({ it: faulty() });
        const script = `${mount} 2>/dev/null; exec "$@"`;
        await using proxy = await Launched.up(place, { before: [unshare, "--mount", "sh", "-c", script, "sh"] });
        await serves(proxy);
        const warning = proxy.log.find(
          ({ level, msg }) => level === "warn" && String(msg).includes(place.file("state")),
        );
        expect(warning).toBeDefined();
        await proxy.reload();
        await serves(proxy);
        expect(await proxy.stop()).toBe(0);
      },
    );
  }

  test("a file stands where the directory should be: the same", async () => {
    using place = new Place();
    writeFileSync(place.file("state"), "not a directory");
    place.write({ it: faulty() });
    await using proxy = await Launched.up(place);
    await serves(proxy);
    expect(proxy.log.some(({ level, msg }) => level === "warn" && String(msg).includes(place.file("state")))).toBe(
      true,
    );
  });

  test("a half-written key from a full disk is no key: said at start, and never used in silence", async () => {
    using place = new Place();
    mkdirSync(place.file("state"), { mode: 0o700 });
    writeFileSync(place.file("state/secret.key"), "");
    chmodSync(place.file("state/secret.key"), 0o600);
    place.write({ it: faulty() });
    await using proxy = new Launched(place);
    const said = proxy.said("listening on ").then(
      () => proxy.log.map((line) => JSON.stringify(line)).join("\n"),
      (error: unknown) => String(error),
    );
    expect(await said).toContain("secret.key");
    expect(existsSync(place.file("state/secret.key"))).toBe(true);
  });
});
