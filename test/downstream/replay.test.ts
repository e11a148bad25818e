import { expect, test } from "bun:test";

const source = (path: string): string => JSON.stringify(new URL(`../../src/${path}`, import.meta.url).pathname);

test("what is remembered of a stream keeps nothing else alive of what came with it from the server", () => {
  const script = `
    import { LineReader } from ${source("upstream/line-reader.ts")};
    import { Message } from ${source("protocol/message.ts")};
    import { Replays } from ${source("downstream/replay.ts")};
    const session = { ended: false, client: { protocolVersion: "2025-11-25" } };
    const replay = new Replays({ events: 2_000, bytes: 1_000_000 }).of(session);
    const stream = replay.open("call", { write() {}, end() {} });
    const reader = new LineReader(1_000_000, {
      line(text) {
        const message = Message.read(text, "upstream");
        const token = message.param("progressToken");
        if (token !== undefined) stream.push(message.edited({ start: token.start, end: token.end, text: '"mine"' }));
      },
    });
    const note = '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":5,"progress":1}}';
    const other = '{"jsonrpc":"2.0","id":1,"result":{"text":"' + "x".repeat(20_000) + '"}}';
    for (let n = 0; n < 1_500; n++) reader.push(Buffer.from(note + "\\n" + other + "\\n"));
    Bun.gc(true);
    await Bun.sleep(1);
    Bun.gc(true);
    console.log(replay.events, process.memoryUsage().heapUsed);`;
  const { stdout, exitCode } = Bun.spawnSync([process.execPath, "-e", script]);
  expect(exitCode).toBe(0);
  const [events, used] = stdout.toString().trim().split(" ").map(Number);
  expect(events).toBe(1_500);
  // The chunks together are 30 MB; early ones were read before the code was compiled, late ones after.
  expect(used).toBeLessThan(15_000_000);
});
