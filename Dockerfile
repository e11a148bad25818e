# The proxy with what servers are mostly started by: npx, uvx, git. Nothing in here runs as root.
ARG NODE=node:22-bookworm-slim

# Built on the machine's own processor, for the wanted one: Bun compiles for every platform.
FROM --platform=$BUILDPLATFORM ${NODE} AS build
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates make && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY package.json package-lock.json .npmrc Makefile ./
COPY scripts scripts
RUN make install
COPY src src
COPY templates templates
ARG TARGETARCH=amd64
ARG COMMIT=unknown
RUN make dist/mcp-proxy-linux-$(echo "$TARGETARCH" | sed s/amd64/x64/) COMMIT="$COMMIT" && mv dist/mcp-proxy-linux-* /mcp-proxy

FROM ${NODE}
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates curl git python3 python3-venv && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/uv && /opt/uv/bin/pip install --no-cache-dir uv==0.13.9 && ln -s /opt/uv/bin/uv /opt/uv/bin/uvx /usr/local/bin/
# Downloads of npx and uvx go into /cache, logins and sealing key into /data/.mcpproxy: keep both as volumes.
RUN mkdir -p /config /data /cache/npm /cache/uv && chown -R node:node /data /cache
COPY --from=build /mcp-proxy /usr/local/bin/mcp-proxy
ENV MCP_PROXY_IMAGE=1 HOME=/data NPM_CONFIG_CACHE=/cache/npm UV_CACHE_DIR=/cache/uv UV_PYTHON_DOWNLOADS=automatic
USER node
WORKDIR /data
VOLUME ["/data", "/cache"]
EXPOSE 9090
# The port is 9090, or 8080 for the configurations of the Python programs; HEALTH_URL names any other.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --start-interval=1s \
  CMD if [ -n "$HEALTH_URL" ]; then curl -fsS -o /dev/null "$HEALTH_URL"; else for port in ${MCP_PORT:-9090 8080}; do curl -fsS -o /dev/null "http://127.0.0.1:$port/livez" && exit 0; done; exit 1; fi
# As process 1 it takes signals and reaps what servers leave behind, so it needs no init.
ENTRYPOINT ["mcp-proxy"]
