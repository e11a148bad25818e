import { expect, test } from "bun:test";

const source = (path: string): string => JSON.stringify(new URL(`../../src/${path}`, import.meta.url).pathname);

test("what waits for a client keeps nothing else alive of what came with it from the server", () => {
  const script = `
    import { LineReader } from ${source("upstream/line-reader.ts")};
    import { Session } from ${source("relay/session.ts")};
    const client = { protocolVersion: "2025-11-25", info: {}, capabilities: {} };
    const session = new Session("s", client, { kind: "anonymous", id: "a" }, false, 0, { next: 1 });
    const reader = new LineReader(1_000_000, {
      line(text) {
        if (text.length < 1_000) session.push(text);
      },
    });
    const note = '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"\u20ac"}}';
    for (let n = 0; n < 256; n++) reader.push(Buffer.from(note + "\\n" + "x".repeat(100_000) + "\\n"));
    Bun.gc(true);
    await Bun.sleep(1);
    Bun.gc(true);
    const used = process.memoryUsage().heapUsed;
    const heard = [];
    session.openStream({ push: (text) => heard.push(text), end() {} });
    console.log(heard.length, heard.every((text) => text === note), used);`;
  const { stdout, exitCode } = Bun.spawnSync([process.execPath, "-e", script]);
  expect(exitCode).toBe(0);
  const [events, same, used] = stdout.toString().trim().split(" ");
  expect([events, same]).toEqual(["256", "true"]);
  // The chunks together are 25 MB, or twice that.
  expect(Number(used)).toBeLessThan(8_000_000);
});
