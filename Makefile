# Needs make and either npm (with Node.js 20 or newer) or Bun; everything else is installed from package-lock.json.
export PATH := $(PATH):$(CURDIR)/scripts/without-node
BUN := sh scripts/bun
VERSION = $(shell sed -n 's/^  "version": "\(.*\)",/\1/p' package.json)
COMMIT = $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)
DEFINE = --define MCP_PROXY_VERSION='"$(VERSION)"' --define MCP_PROXY_COMMIT='"$(COMMIT)"'
COMPILE = --compile --minify --bytecode --format=esm --splitting --compile-jit-policy=8 --no-compile-autoload-dotenv --no-compile-autoload-bunfig

run: build
	build/mcp-proxy --config config.example.jsonc

build: build/mcp-proxy
build/mcp-proxy: node_modules/.installed package.json Makefile $(shell find src templates -type f 2>/dev/null)
	@mkdir -p build
	$(BUN) build $(COMPILE) $(DEFINE) --outfile build/mcp-proxy.new src/main.ts
	@mv build/mcp-proxy.new $@

# Every platform there is a Bun for. One that cannot be built is named, and the others are built all the same.
PLATFORMS = linux-x64 linux-arm64 linux-x64-musl linux-arm64-musl darwin-x64 darwin-arm64
dist: node_modules/.installed
	@rm -rf dist; missing=; for platform in $(PLATFORMS); do \
	  $(MAKE) --no-print-directory dist/mcp-proxy-$$platform || missing="$$missing $$platform"; done; \
	cd dist && rm -f ./*.new && sha256sum mcp-proxy-* > SHA256SUMS && cat SHA256SUMS; \
	[ -z "$$missing" ] || { echo "not built:$$missing (its Bun could not be fetched, see above)" >&2; exit 1; }

dist/mcp-proxy-%: node_modules/.installed
	@mkdir -p dist
	$(BUN) build $(COMPILE) $(DEFINE) --target=bun-$* --outfile $@.new src/main.ts
	@mv $@.new $@

test: build # one file or folder: make test TESTS=test/config
	$(BUN) test --isolate --timeout 30000 $(TESTS)

FLAGS_oxlint = --type-aware --deny-warnings
FLAGS_tsc = --noEmit
FLAGS_oxfmt = --check
FLAGS_knip = --no-progress
lint: lint-oxlint lint-tsc lint-oxfmt lint-knip # with -k: all four, also after the first that fails
lint-%: node_modules/.installed
	$(BUN) run $* $(FLAGS_$*)

fmt: node_modules/.installed
	$(BUN) run oxfmt

bench conformance: build
	$(BUN) $(if $(filter bench,$@),bench/run.ts,test/conformance/run.ts)

bench-logins: node_modules/.installed # what 20 logins in flight cost relayed calls
	$(BUN) bench/logins.ts

bench-growth: build
	$(BUN) bench/growth.ts

soak: node_modules/.installed # a few minutes of kills under load; FAULT_SEED=n repeats a run
	$(BUN) test/faults/soak.ts

rules: node_modules/.installed # breaks each rule of the login in a copy and sees a test turn red; some of them: LINES="34 35"
	$(BUN) test/oauth/rules/run.ts $(LINES)

check: lint test conformance

install: node_modules/.installed
node_modules/.installed: package.json package-lock.json
	@if command -v npm >/dev/null; then npm ci; \
	elif command -v bun >/dev/null; then bun install --frozen-lockfile; \
	else echo "mcp-proxy is built with npm (Node.js 20 or newer) or Bun: install one of them" >&2; exit 1; fi
	@touch $@

lock: # after a change of the dependencies in package.json
	npm install
	$(BUN) scripts/complete-lock.ts
	@touch node_modules/.installed

schema: node_modules/.installed # after a change of src/config/schema*.ts
	$(BUN) scripts/config-schema.ts
	$(BUN) scripts/manual.ts

manual: node_modules/.installed # the pages of docs/ that are made of the program itself
	$(BUN) scripts/manual.ts

.PHONY: run build dist test lint fmt bench bench-logins bench-growth conformance soak rules check install lock schema manual
