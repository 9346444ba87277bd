# Realm's one entry: `make help` lists the targets. A fresh machine needs Go, Node, a C compiler, and Python 3 with pip,
# which fetches the model. Anything longer than a few lines is a Go program below tools/.

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

# Time for each fuzz target, and threads for `make bench`.
FUZZTIME ?= 10s
THREADS  ?= $(shell getconf _NPROCESSORS_ONLN)

# Developer tools have their versions pinned in tools/go.mod, apart from what the product depends on.
TOOL       := go tool -modfile=tools/go.mod
FETCHMODEL := go run -C tools ./fetchmodel -dir "$(CURDIR)/build/models"

# The same source gives the same bytes.
LDFLAGS := -s -w -buildid=
GOBUILD := -trimpath -buildvcs=false -ldflags='$(LDFLAGS)'

# The addon is small, since every installation has it: without the parts that speak HTTP (the tag nofetch), with functions
# aligned to 16 bytes, and without inlining where chat templates are read and filled in. tools/release says it the same way.
ADDON := -trimpath -buildvcs=false -ldflags='$(LDFLAGS) -funcalign=16' -tags node_addon,nofetch -buildmode=c-shared \
	-gcflags=github.com/ardanlabs/jinja=-l -gcflags=github.com/realm-ai/realm/internal/chat=-l

# What was built, for `realm version`. tools/release says it the same way.
COMMIT = $(shell git describe --always --dirty --abbrev=40 --exclude='*' 2>/dev/null)

EXE := $(shell go env GOEXE)

# Platforms to release for: names of js/sdk/native/platforms.json with commas between, host, or all.
PLATFORMS ?= all

# The Node addon is C too; the headers of Node-API come with npm. Not `npm ci`: it wants the packages of all platforms in the
# lock file, which a registry that has only this one's cannot give it.
NPM  := npm --prefix js
NODE := CGO_ENABLED=1 CGO_CFLAGS="-O2 -I$(CURDIR)/js/node_modules/node-api-headers/include" go

# Packages with goroutines of their own run under the race detector too.
RACE := . ./internal/hostcall ./internal/engine ./internal/gguf ./internal/hub ./internal/kernel ./internal/kvcache ./internal/store ./wasm

# Tests for arm64 run under user-mode emulation.
QEMU := $(shell command -v qemu-aarch64-static || command -v qemu-aarch64)
NEON := GOOS=linux GOARCH=arm64 CGO_ENABLED=0 REALM_CPU=neon REALM_TEST_CPU=neon go test -short -exec '$(QEMU)'

.PHONY: help build guest guest-tiny node sdk demo test test-node test-neon ci check gen docs bench bench-peer bench-install release release-check fmt lint fuzz clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

build: guest ## build the command line with the guest in it: build/realm
	cp build/realm-guest.wasm cmd/realm/
	CGO_ENABLED=0 go build $(GOBUILD) -ldflags='$(LDFLAGS) -X main.commit=$(COMMIT)' -tags embed_guest -o build/realm ./cmd/realm

guest: ## build the guest that ships: build/realm-guest.wasm
	GOOS=wasip1 GOARCH=wasm CGO_ENABLED=0 go build $(GOBUILD) -buildmode=c-shared -o build/realm-guest.wasm ./cmd/realm-guest

node: build sdk ## build the Node package with its native parts: js/sdk
	$(NODE) build $(ADDON) -o build/node/index.node ./cmd/realm-node
	cp build/node/index.node js/sdk/native/
	mkdir -p js/sdk/native/bin && cp build/realm js/sdk/native/bin/realm$(EXE)

sdk: guest js/node_modules/.package-lock.json
	cp build/realm-guest.wasm js/sdk/native/guest.wasm
	$(NPM) run build

js/node_modules/.package-lock.json: js/package.json js/package-lock.json $(wildcard js/*/package.json)
	$(NPM) install --no-save
	@touch $@

# The head of tools/tinyguest says what it needs: LLVM 19 and wasi-libc. Tests take either guest.
guest-tiny: ## build the guest with TinyGo, below 600 KB: build/realm-guest-tiny.wasm
	@mkdir -p build
	go run -C tools ./tinyguest -root ..
	REALM_GUEST=$(CURDIR)/build/realm-guest-tiny.wasm go test -count=1 ./cmd/realm-guest ./wasm

demo: node ## fetch a small model and ask it for the capital of France; REALM_MODEL=FILE asks another model
	npm --prefix examples/paris-node install --no-package-lock
	@model=$$($(FETCHMODEL)) && set -x && build/realm run -v -m "$$model" -p "What is the capital of France?" && \
	for program in storage direct sandbox; do node examples/paris-node/$$program.mjs "$$model" || exit 1; done

test: ## run all tests; those that need the model skip where it cannot be fetched
	@REALM_MODEL=$$($(FETCHMODEL) -optional) && export REALM_MODEL && set -x && go test ./... && go test -C tools ./...
	@$(MAKE) test-node

test-node: node ## run the tests of the Node package
	go run -C tools ./release pack
	build/realm synth --force tiny-llama-q4_1 build/models/tiny-llama-q4_1.gguf
	GOOS=wasip1 GOARCH=wasm CGO_ENABLED=0 go build $(GOBUILD) -buildmode=c-shared -o build/guest-grammar.wasm ./examples/guest-grammar
	@REALM_MODEL=$$($(FETCHMODEL) -optional) && export REALM_MODEL && set -x && $(NPM) test

test-neon: ## the tests of kernels, and of their bits in small models, for arm64; skips without qemu-aarch64
ifeq ($(QEMU),)
	@echo "no qemu-aarch64 here (Debian: qemu-user-static): the tests for arm64 are only compiled"
	GOOS=linux GOARCH=arm64 CGO_ENABLED=0 go test -exec true ./internal/cpu ./internal/kernel ./internal/model ./internal/engine
else
	$(NEON) ./internal/cpu ./internal/kernel
	$(NEON) -run DTypeBits ./internal/model
	$(NEON) -run 'SessionBits|RealModelGolden|Allocates' ./internal/engine
endif

# What comes and goes at random does so for a minute.
ci: export REALM_SOAK ?= 60
ci: check test test-neon ## what must pass before a change lands: check, test, the race detector, other kernels, fuzzing, a release
	@REALM_MODEL=$$($(FETCHMODEL) -optional) && export REALM_MODEL && set -x && go test -race -short $(RACE) && \
	for set in generic avx2 avx512; do REALM_CPU=$$set go test -count=1 ./internal/kernel ./internal/engine || exit 1; done && go test -tags purego ./internal/cpu ./internal/kernel
	go run -C tools ./fuzzall -time 5s ..
	$(MAKE) release PLATFORMS=host,win32-arm64
	REALM_PACKAGES=$(CURDIR)/build/release node --test js/sdk/test/package.test.mjs

check: lint ## lint, imports, generated files, and a build without cgo
	CGO_ENABLED=0 go build ./...
	go test ./internal/archtest
	go run -C tools ./checkgen .. $(MAKE) gen

lint: js/node_modules/.package-lock.json ## formatting, vet for each platform, staticcheck (staticcheck.conf has the reasons), JS
	@unformatted=$$($(TOOL) gofumpt -l .) && \
	if [ -n "$$unformatted" ]; then echo "not formatted, run make fmt:" $$unformatted >&2; exit 1; fi
	go vet ./...
	go vet -tags purego ./...
	go vet -C tools ./...
	go vet -C internal/kernel/_asm ./...
	GOOS=linux GOARCH=arm64 go vet ./...
	GOOS=darwin GOARCH=arm64 go vet ./...
	GOOS=windows GOARCH=amd64 go vet ./...
	GOOS=windows GOARCH=arm64 go vet ./internal/cpu ./internal/kernel
	$(NODE) vet -tags node_addon,nofetch ./cmd/realm-node
	GOOS=wasip1 GOARCH=wasm go vet ./guest/... ./cmd/realm-guest ./examples/...
	$(TOOL) staticcheck ./...
	$(NPM) run check
	cd tools && go tool staticcheck ./...

# INSTALL takes flags, such as --rounds 3; the packages are those of make release, or of the last make test-node.
bench-install: ## size, time to the first token, speed and memory beside node-llama-cpp and transformers.js, which npm fetches
	@model=$$($(FETCHMODEL)) && set -x && node js/bench/install.mjs $(INSTALL) "$$model"

release: sdk ## build/release: archives, npm packages, checksums and a bill of materials; PLATFORMS=all, host or names
	cp build/realm-guest.wasm cmd/realm/
	go run -C tools ./release build -platforms $(PLATFORMS)

release-check: js/node_modules/.package-lock.json ## build two releases of the last commit in two folders, and compare them
	go run -C tools ./release check -platforms $(PLATFORMS)

fmt: ## format all Go files
	$(TOOL) gofumpt -l -w .

# Tables that come from llama.cpp's source are made only where LLAMA_CPP names a checkout of it.
gen: docs ## make the generated files again
	go generate $(if $(LLAMA_CPP),,-skip=LLAMA_CPP) ./...

docs: js/node_modules/.package-lock.json ## write docs/api again, the reference, from the comments in the sources
	go run -C tools ./apidoc .. ../docs/api
	$(NPM) run docs

bench: build ## Go benchmarks, then prompt and decode speed of the model; THREADS=N
	go test -run='^$$' -bench=. -benchmem ./...
	@model=$$($(FETCHMODEL)) && set -x && build/realm bench -m "$$model" -p 512 -n 128 -t $(THREADS)

# PEER takes flags of tools/benchpeer, such as -quick, -force, -rounds 7, or -backend haswell -cpu avx2: AVX2 on both sides.
bench-peer: build ## compare with llama.cpp in node-llama-cpp on a quiet machine: a table and build/bench-peer.json
	go run -C tools ./benchpeer $(PEER)

fuzz: ## run every fuzz target in turn, each for FUZZTIME (default 10s)
	go run -C tools ./fuzzall -time $(FUZZTIME) ..

clean: ## remove build/, the fetched model included
	rm -rf build js/node_modules js/*/esm js/*/cjs js/sdk/native/bin js/sdk/native/index.node js/sdk/native/guest.wasm
