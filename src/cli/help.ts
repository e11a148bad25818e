import { FLAGS } from "./flags.ts";
import type { Flag, Section } from "./flags.ts";

/** One screen, by task. It names only what works. */
export const HELP = `mcp-proxy puts MCP servers on the network, safely.

  mcp-proxy --config FILE|URL      serve everything in a configuration
  mcp-proxy -- COMMAND ARGS…       serve one program at /mcp and /sse
  mcp-proxy --named-server NAME 'COMMAND ARGS…'     … at /servers/NAME/mcp, repeatable
  mcp-proxy URL                    bridge: a remote server for a client that speaks stdio
  mcp-proxy check --config FILE    look for mistakes; --live; --public URL (from outside)
  mcp-proxy connect CLIENT         how a client is told of it   [SERVER|URL]
  mcp-proxy hash-password          make a password hash for the configuration

Configuration  -c, --config FILE|URL   --insecure   --expand-env   --watch   --stdio
               --http-headers K:V   --http-timeout SECONDS
Listening  --host ADDRESS   --port N   (--sse-host, --sse-port)   --allow-origin ORIGIN…
           --[no-]stateless   --expose-header NAME
Programs   -e, --env KEY VALUE   --cwd DIR   --[no-]pass-environment
           --named-server-config FILE
Remote     --transport sse|streamablehttp   --headers K V   --username --password --digest
           --client-id ID --client-secret S --token-url URL   --verify-ssl [FILE|false]
Login      --eject-templates   --eject-templates-to DIR   --force
Other      --log-level LEVEL   --log-format pretty|json   --debug   --version   -h, --help
           (mcp-proxy help all: every flag, with the older spellings)
Without arguments: MCP_CONFIG_PATH, else config.json, config.jsonc, mcp_config.json.
  mcp-proxy --port 8080 -- uvx mcp-server-time
`;

const TITLES: Readonly<Record<Section, string>> = {
  configuration: "Configuration",
  listening: "Listening",
  servers: "Servers on the command line",
  remote: "A remote server on the command line",
  log: "Log",
  other: "Other",
};

/** Every flag with its older spellings. */
export function helpAll(): string {
  const sections = (Object.keys(TITLES) as Section[]).map((section) => {
    const flags = FLAGS.filter((flag) => flag.section === section);
    return `${TITLES[section]}\n${flags.map(flagLine).join("\n")}\n`;
  });
  return `${HELP}
Every flag. Long names work with one dash or two, and with "=" or a blank (-config x, --config=x).
Switches take =true and =false, and --no-NAME. Flags count before "--" wherever they stand; what follows "--" is the
command's own.

${sections.join("\n")}`;
}

function flagLine(flag: Flag): string {
  const short = flag.short === undefined ? "" : `${flag.short}, `;
  const usage = `${short}--${flag.name}${flag.argument === undefined ? "" : ` ${flag.argument}`}`;
  const gap = usage.length < 34 ? " ".repeat(36 - usage.length) : `\n${" ".repeat(38)}`;
  return `  ${usage}${gap}${flag.help}`;
}
