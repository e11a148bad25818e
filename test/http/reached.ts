import { INITIALIZE, tools } from "./client.ts";
import { exchange, post } from "./raw.ts";

/** An entry of `mcpServers` that calls itself so. */
export function named(name: string, token?: string): Record<string, unknown> {
  return tools({
    env: { HTTP_TOOLS_NAME: name },
    ...(token === undefined ? {} : { options: { authTokens: [token] } }),
  });
}

/** Which server answered `initialize` at a request target, or the status that refused it. */
export async function reached(
  port: number,
  target: string,
  token?: string,
  host = "127.0.0.1",
): Promise<string | number> {
  const authorization = token === undefined ? {} : { Authorization: `Bearer ${token}` };
  const raw = await exchange(port, post(target, INITIALIZE, { ...authorization, Host: host }));
  if (raw.status !== 200) return raw.status;
  return (JSON.parse(raw.body) as { result: { serverInfo: { name: string } } }).result.serverInfo.name;
}
