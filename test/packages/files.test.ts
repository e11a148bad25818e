import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { program, testWith } from "../support/programs.ts";
import { makeTree, root } from "../support/tree.ts";
import { pairsOf, readDockerfile } from "./dockerfile.ts";

const read = (file: string): string => readFileSync(join(root, file), "utf8");
const UNIT = "packaging/systemd/mcp-proxy.service";

describe("Dockerfile", () => {
  const { stages } = readDockerfile(read("Dockerfile"));
  const last = stages.at(-1);
  const find = (name: string): string => last?.instructions.find((each) => each.name === name)?.text ?? "";

  test("copies only what there is and what .dockerignore lets through", async () => {
    const let_ = [...read(".dockerignore").matchAll(/^!(.+)$/gm)].map(([, name = ""]) => name);
    const copied = stages.flatMap(({ instructions }) =>
      instructions
        .filter(({ name, text }) => name === "COPY" && !text.startsWith("--from"))
        .flatMap(({ text }) => text.split(/\s+/).slice(0, -1)),
    );
    expect(copied.filter((name) => !let_.includes(name))).toEqual([]);
    await using listing = Bun.spawn(
      ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", ...copied],
      { cwd: root },
    );
    const files = (await listing.stdout.text()).split("\n");
    expect(copied.filter((name) => !files.some((file) => file === name || file.startsWith(`${name}/`)))).toEqual([]);
  });
  test("what runs is no root, tells the proxy that it is the image, and keeps what is downloaded", () => {
    expect(find("USER")).toBe("node");
    expect(pairsOf(find("ENV"))).toMatchObject({ MCP_PROXY_IMAGE: "1", HOME: "/data", UV_CACHE_DIR: "/cache/uv" });
    expect(JSON.parse(find("VOLUME"))).toEqual(["/data", "/cache"]);
    expect(JSON.parse(find("ENTRYPOINT"))).toEqual(["mcp-proxy"]);
    expect(find("EXPOSE")).toBe("9090");
  });
  test("has what servers and the health check need", () => {
    const all = last?.instructions.map(({ text }) => text).join("\n") ?? "";
    for (const needed of ["curl", "git", "uvx", "python3"]) expect(all).toContain(needed);
    expect(find("HEALTHCHECK")).toContain("/livez");
  });
  test("is built for the platform that is asked for, on the one that builds", () => {
    expect(read("Dockerfile")).toContain("FROM --platform=$BUILDPLATFORM");
    const makefile = read("Makefile");
    for (const platform of ["linux-x64", "linux-arm64"]) expect(makefile).toContain(platform);
  });
});

test("docker-compose.yml: the port is this machine's only, the tunnel is asked for, and stopping is waited for", () => {
  const { services, volumes } = Bun.YAML.parse(read("docker-compose.yml")) as {
    services: Record<string, Record<string, unknown>>;
    volumes: object;
  };
  const proxy = services["mcp-proxy"] ?? {};
  expect(proxy["ports"]).toEqual(["127.0.0.1:9090:9090"]);
  // With a name of an image, compose would first ask a registry for whatever is called so there.
  expect([proxy["build"], proxy["image"]]).toEqual([".", undefined]);
  expect(proxy["volumes"]).toContain("./config.json:/config/config.json:ro");
  expect(proxy["restart"]).toBe("always");
  expect(proxy["stop_grace_period"]).toBe("20s");
  expect(proxy["cap_drop"]).toEqual(["ALL"]);
  expect(services["tunnel"]?.["profiles"]).toEqual(["tunnel"]);
  expect(Object.keys(volumes)).toEqual(["data", "cache"]);
});

describe("workflows", () => {
  for (const file of ["ci.yml", "release.yml"]) {
    test(`${file} is read, its jobs exist, and it may write only where it must`, () => {
      const flow = Bun.YAML.parse(read(`.github/workflows/${file}`)) as {
        permissions: object;
        jobs: Record<string, { needs?: string | string[]; steps: { uses?: string; run?: string }[] }>;
      };
      expect(flow.permissions).toEqual({ contents: "read" });
      for (const { needs, steps } of Object.values(flow.jobs)) {
        for (const need of [needs ?? []].flat()) expect(Object.keys(flow.jobs)).toContain(need);
        for (const { uses, run } of steps) {
          expect(uses === undefined).toBe(run !== undefined);
          if (uses !== undefined) expect(uses).toMatch(/^[\w.-]+\/[\w.-]+@(v\d+|[0-9a-f]{40})$/);
        }
      }
    });
  }
  test("no job waits for a machine that is not there any more", () => {
    for (const file of ["ci.yml", "release.yml"])
      expect(read(`.github/workflows/${file}`)).not.toMatch(/\b(macos-1[1-4]|ubuntu-(18|20)\.04)\b/);
  });
  test("what is released is what make dist builds", () => {
    const platforms = /^PLATFORMS = (.*)$/m.exec(read("Makefile"))?.[1]?.split(" ") ?? [];
    const tried = [...read(".github/workflows/release.yml").matchAll(/file: mcp-proxy-([\w-]+)/g)].map(
      ([, name]) => name,
    );
    expect(new Set(tried)).toEqual(new Set(platforms));
  });
});

testWith(
  program("systemd-analyze"),
  "systemd finds no mistake in the unit, and little that is left open",
  async (analyze) => {
    await using tree = await makeTree();
    // The program is not installed here; everything else is as it is.
    await tree.write("mcp-proxy.service", read(UNIT).replace("/usr/local/bin/mcp-proxy", process.execPath));
    const run = async (...args: string[]): Promise<{ code: number; text: string }> => {
      await using child = Bun.spawn([analyze, ...args, join(tree.path, "mcp-proxy.service")], {
        stdout: "pipe",
        stderr: "pipe",
      });
      const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
      return { code: await child.exited, text: out + err };
    };
    expect(await run("verify", "--man=no")).toEqual({ code: 0, text: "" });
    const { text } = await run("security", "--offline=yes", "--no-pager");
    expect(Number(/Overall exposure level.*?: ([\d.]+)/.exec(text)?.[1])).toBeLessThan(2);
  },
);

test("the unit ends the proxy alone, gives it time, and reloads by SIGHUP", () => {
  const unit = read(UNIT);
  for (const line of [
    "KillMode=mixed",
    "TimeoutStopSec=20",
    "ExecReload=/bin/kill -HUP $MAINPID",
    "LoadCredential=secrets:/etc/mcp-proxy/secrets",
  ])
    expect(unit.split("\n")).toContain(line);
  // There is no READY=1, so systemd must not wait for it.
  expect(unit).not.toContain("Type=notify");
});
