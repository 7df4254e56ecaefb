# make          builds ./zrs
# make demo     shows it at work, in under a minute; needs Go and make only
# make check    all that CI runs
# make help     lists the rest

GO       ?= go
FUZZTIME ?= 20s
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS  := -s -w -buildid= -X main.version=$(VERSION)

# What is tested with Go alone.
UNIT := ./cmd/... ./internal/... ./bench/...

# The race detector needs a C compiler. Without one the tests run all the same.
RACE := $(if $(shell command -v "$$($(GO) env CC)"),-race)

# Tools are pinned in tools/go.mod, which nothing that is shipped depends on.
GOLANGCI := $(GO) tool -modfile=tools/go.mod golangci-lint

.PHONY: build demo test unit interop venv vet race fuzz lint fmt man check bench clean help

build: ## builds ./zrs, static and reproducible
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags "$(LDFLAGS)" -o zrs ./cmd/zrs

demo: build ## shows a primary and a secondary at work
	scripts/demo

test: vet unit interop ## runs all tests, also those against real ZODB, ZEO and zc.zrs

vet: # also that it builds where integers have 32 bits, and where Linux is not
	$(GO) vet ./...
	CGO_ENABLED=0 GOOS=linux GOARCH=386 $(GO) build -o /dev/null ./cmd/zrs
	CGO_ENABLED=0 GOOS=darwin GOARCH=arm64 $(GO) build -o /dev/null ./cmd/zrs

unit: ## runs the tests that need Go only
	$(if $(RACE),,@echo "make: no C compiler: testing WITHOUT the race detector" >&2)
	$(GO) test $(RACE) -timeout 30m $(UNIT)

# No race detector here: the time of these tests goes into Python and waiting,
# and a race in zrs is the business of the tests above.
interop: venv ## runs the tests against real ZODB, ZEO and zc.zrs
	$(GO) test -timeout 60m -count=1 ./interop/...

venv: ## makes the Python environments that interop and bench need
	interop/venv.sh

race: ## runs the Go tests ten times under the race detector
	$(GO) test -race -count=10 -timeout 60m $(UNIT)

fuzz: ## runs each fuzz target for FUZZTIME (20s)
	@set -e; for pkg in $$($(GO) list $(UNIT)); do \
		for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			echo "fuzz $$pkg $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x $$pkg; \
		done; \
	done

lint: ## checks style, layers, manual pages and go.mod
	$(GO) mod tidy -diff
	$(GOLANGCI) config verify
	$(GOLANGCI) run ./...
	@if command -v groff >/dev/null; then \
		for page in docs/man/*.1; do \
			out=$$(groff -man -ww -Tascii -z $$page 2>&1); \
			test -z "$$out" || { echo "$$page: $$out"; exit 1; }; \
		done; \
	else \
		echo "make: no groff: the manual pages are checked by TestManPages alone" >&2; \
	fi

fmt: ## formats the Go files
	$(GOLANGCI) fmt ./...

man: ## writes docs/man and docs/completion from the command line's help texts
	$(GO) run ./cmd/zrs gen-man docs/man
	@for shell in bash zsh fish; do \
		$(GO) run ./cmd/zrs completion $$shell > docs/completion/zrs.$$shell || exit; \
	done

check: lint test ## all that CI runs

bench: build venv ## compares with zc.zrs, side by side, in one run
	mkdir -p bench/data bench/results
	$(GO) run ./bench/zrsbench -zrs ./zrs -dir bench/data -out bench/results/latest.jsonl $(BENCHFLAGS)

clean:
	rm -rf zrs dist

help:
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
