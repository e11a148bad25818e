import { existsSync } from "node:fs";
import { resolve } from "node:path";
import type { LoadContext, Source } from "./context.ts";

export type Found =
  | {
      readonly kind: "config";
      readonly location: string;
      readonly habit: "config" | "env" | "bridge";
      readonly notes: string[];
    }
  | { readonly kind: "text"; readonly text: string; readonly name: string }
  | { readonly kind: "sse-url"; readonly url: string; readonly notes: string[] }
  | { readonly kind: "nothing" };

/** Which configuration a start means, in the order of docs/configuration.md. */
export function discover(source: Source, context: Pick<LoadContext, "env" | "cwd">): Found {
  if (source.kind === "text") return source;
  if (source.kind === "location") return { kind: "config", location: source.location, habit: "config", notes: [] };
  if (source.kind === "named-servers") return { kind: "config", location: source.location, habit: "bridge", notes: [] };
  const { env, cwd } = context;
  if (env["MCP_CONFIG_PATH"]) {
    return {
      kind: "config",
      location: env["MCP_CONFIG_PATH"],
      habit: "env",
      notes: [`using ${env["MCP_CONFIG_PATH"]}: MCP_CONFIG_PATH names it`],
    };
  }
  const has = (name: string): boolean => existsSync(resolve(cwd, name));
  const plain = ["config.json", "config.jsonc"].filter(has);
  const envFile = has("mcp_config.json") ? ["mcp_config.json"] : [];
  const wantsEnv = Object.keys(env).find((name) => isModeVariable(name) && env[name]);
  const envFirst = plain.length > 0 && envFile.length > 0 && wantsEnv !== undefined;
  const order = envFirst ? [...envFile, ...plain] : [...plain, ...envFile];
  const chosen = order[0];
  if (chosen !== undefined) {
    const others = order.slice(1);
    let note = `using ${chosen} of the working directory`;
    if (envFirst) note += `: ${wantsEnv} is set`;
    if (others.length > 0) note += `; not read: ${others.join(", ")}`;
    return { kind: "config", location: chosen, habit: chosen === "mcp_config.json" ? "env" : "config", notes: [note] };
  }
  if (env["SSE_URL"]) return { kind: "sse-url", url: env["SSE_URL"], notes: ["connecting to the URL in SSE_URL"] };
  if (env["MCP_PROXY_IMAGE"] === "1") {
    const inImage = ["/config/config.json", "/app/mcp_config.json"].find((path) => existsSync(path));
    if (inImage !== undefined) {
      const habit = inImage.startsWith("/app/") ? "env" : "config";
      return { kind: "config", location: inImage, habit, notes: [`using ${inImage}, mounted into the image`] };
    }
  }
  return { kind: "nothing" };
}

/** `MCP_PROXY_*` are this program's own and say nothing about whose user it is. */
function isModeVariable(name: string): boolean {
  return name.startsWith("MCP_") && !name.startsWith("MCP_PROXY_");
}
