import { DetectWire } from "../../src/upstream/detect-wire.ts";
import { SseWire } from "../../src/upstream/sse-wire.ts";
import { systemClock } from "../../src/telemetry/clock.ts";
import { WireSseServer } from "../fixtures/wire-sse-server.ts";
import { LIMIT_OF_WIRES, wireContract } from "./wire-contract.ts";

const OPTIONS = { headers: {}, rejectUnauthorized: true, maxMessageBytes: LIMIT_OF_WIRES, clock: systemClock };

wireContract("sse", () => {
  const server = new WireSseServer();
  return { wire: new SseWire({ ...OPTIONS, url: server.url }), dispose: () => server.stop() };
});

wireContract("sse, detected before", () => {
  const server = new WireSseServer();
  return { wire: new DetectWire({ ...OPTIONS, url: server.url }, { kind: "sse" }), dispose: () => server.stop() };
});
