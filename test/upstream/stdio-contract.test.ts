import { join } from "node:path";
import { StdioWire } from "../../src/upstream/stdio-wire.ts";
import { Watchdog } from "../../src/upstream/watchdog.ts";
import { systemClock } from "../../src/telemetry/clock.ts";
import { LIMIT_OF_WIRES, wireContract } from "./wire-contract.ts";

wireContract("stdio", () => {
  const watchdog = new Watchdog({ log: () => {} });
  const wire = new StdioWire({
    command: process.execPath,
    args: [join(import.meta.dir, "../fixtures/wire-stdio-server.ts")],
    cwd: undefined,
    env: { PATH: process.env["PATH"] ?? "" },
    maxMessageBytes: LIMIT_OF_WIRES,
    watchdog,
    clock: systemClock,
  });
  return { wire, dispose: () => watchdog.stop() };
});
