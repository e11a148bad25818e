import { HttpWire } from "../../src/upstream/http-wire.ts";
import { systemClock } from "../../src/telemetry/clock.ts";
import { WireHttpServer } from "../fixtures/wire-http-server.ts";
import { wireContract } from "./wire-contract.ts";

wireContract("http", () => {
  const server = new WireHttpServer();
  const wire = new HttpWire({
    url: server.url,
    headers: {},
    rejectUnauthorized: true,
    maxMessageBytes: 16 * 1024 * 1024,
    clock: systemClock,
  });
  return { wire, dispose: () => server.stop() };
});
