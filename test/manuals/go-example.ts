/** The configuration that the manual of the Go program prints, whole; people have exactly this in their files. */
export const GO_EXAMPLE = `{
  "mcpProxy": {
    "baseURL": "https://mcp.example.com",
    "addr": ":9090",
    "name": "MCP Proxy",
    "version": "1.0.0",
    "type": "streamable-http",// The transport type of the MCP proxy server, can be \`streamable-http\`, \`sse\`. By default, it is \`sse\`.
    "options": {
      "panicIfInvalid": false,
      "logEnabled": true,
      "authTokens": [
        "DefaultTokens"
      ],
      "oauth2": {
        "enabled": true,
        "users": {
          "admin": "password123",
          "user": "mypassword"
        },
        "persistenceDir": "/custom/path/oauth",
        "allowedIPs": [
          "34.162.46.92",
          "34.162.102.82",
          "34.162.136.91", 
          "34.162.142.92",
          "34.162.183.95"
        ],
        "templateDir": "/custom/templates"
      }
    }
  },
  "mcpServers": {
    "github": {
      "command": "npx",
      "args": [
        "-y",
        "@modelcontextprotocol/server-github"
      ],
      "env": {
        "GITHUB_PERSONAL_ACCESS_TOKEN": "<YOUR_TOKEN>"
      },
      "options": {
        "toolFilter": {
          "mode": "block",
          "list": [
            "create_or_update_file"
          ]
        }
      }
    },
    "fetch": {
      "command": "uvx",
      "args": [
        "mcp-server-fetch"
      ],
      "options": {
        "panicIfInvalid": true,
        "logEnabled": false,
        "authTokens": [
          "SpecificTokens"
        ]
      }
    },
    "amap": {
      "url": "https://mcp.amap.com/sse?key=<YOUR_TOKEN>"
    }
  }
}`;
