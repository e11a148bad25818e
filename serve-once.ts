import { startLogin } from "./test/oauth/login.ts";
const p = await startLogin({ registrationsPerMinute: 0 });
console.log(p.url);
const run = async (cmd: string[], env = {}) => {
  const c = Bun.spawn(cmd, { stdout: "pipe", stderr: "pipe", env: { ...process.env, ...env } });
  const [o, e] = await Promise.all([new Response(c.stdout).text(), new Response(c.stderr).text()]);
  console.log(cmd.slice(0, 6).join(" "), "->", await c.exited, o.slice(-600), e.slice(-1200));
};
await run([
  "timeout",
  "150",
  "uv",
  "run",
  "--no-project",
  "--with",
  "mcp<2",
  "--with",
  "httpx",
  "python",
  "test/oauth/python-client.py",
  `${p.url}/a/mcp`,
  "sdk",
]);
await run([
  "timeout",
  "150",
  "uv",
  "run",
  "--no-project",
  "--with",
  "fastmcp",
  "python",
  "test/oauth/python-client.py",
  `${p.url}/a/mcp`,
  "fastmcp",
]);
await p.stop();
process.exit(0);
