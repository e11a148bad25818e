import { HttpWire } from "../../src/upstream/http-wire.ts";
import { systemClock } from "../../src/telemetry/clock.ts";
import { WireHttpServer } from "../fixtures/wire-http-server.ts";
import { LIMIT_OF_WIRES, wireContract } from "./wire-contract.ts";

wireContract("http", () => {
  const server = new WireHttpServer();
  const wire = new HttpWire({
    url: server.url,
    headers: {},
    rejectUnauthorized: true,
    maxMessageBytes: LIMIT_OF_WIRES,
    clock: systemClock,
  });
  return { wire, dispose: () => server.stop() };
});
