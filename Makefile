# xrat. "make help" lists what there is to make.

GO       ?= go
PREFIX   ?= $(HOME)/.local
DESTDIR  ?=

VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
PROGRAMS := $(patsubst cmd/%,bin/%,$(wildcard cmd/*))

# Tests and benchmarks run the core that this tree builds.
export XRAT_XRAY := $(CURDIR)/bin/xray

# The packages with benchmarks; one at a time, as they measure the machine.
BENCH_PKGS ?= $(sort $(dir $(shell grep -rl --include='*_test.go' '^func Benchmark' .)))
BENCH      ?= .

# Build tags of code that ordinary builds leave out.
TAGS     := failpoints,soak
SYSTEMS  := windows darwin

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: $(PROGRAMS) bin/xray ## build bin/xrat, bin/xrat-tray and the core, bin/xray

.PHONY: FORCE
FORCE:

# Go's own cache knows what is new.
$(PROGRAMS): bin/%: FORCE
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o $@ ./cmd/$*

# The core is large: link it again only when its version can have changed. The
# rename lets a core that is running run on.
bin/xray: go.mod go.sum
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o $@.new github.com/xtls/xray-core/main
	mv -f $@.new $@

.PHONY: demo
demo: build ## show xrat at work with real cores on this machine
	bin/xrat demo

.PHONY: deps
deps: ## install what the tests need from Debian's packages, or say what is missing
	scripts/deps

.PHONY: test
test: deps bin/xray ## run every test with the race detector
	$(GO) test -race -timeout 9m $$($(GO) list ./... | grep -v '/e2e')
	$(GO) test -race -timeout 15m ./e2e
	$(GO) test -race -timeout 9m ./e2e/desktop

.PHONY: test-desktop
test-desktop: deps bin/xray ## run the tests of the tray on a virtual screen (part of test)
	$(GO) test -count 1 -timeout 5m -v ./e2e/desktop

.PHONY: bench
bench: build ## run the benchmarks
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -p 1 -timeout 60m $(BENCH_PKGS)

.PHONY: soak
soak: build ## run the long tests
	$(GO) test -tags soak -count 1 -timeout 120m ./e2e/...

.PHONY: lint
lint: ## check formatting, vet, staticcheck and go.mod
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "not as gofmt writes it:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) vet -tags $(TAGS) ./...
	$(GO) tool staticcheck ./...
	$(GO) mod tidy -diff

.PHONY: cross
cross: $(addprefix cross-,$(SYSTEMS)) ## build and vet for the other systems

.PHONY: $(addprefix cross-,$(SYSTEMS))
$(addprefix cross-,$(SYSTEMS)): cross-%:
	CGO_ENABLED=0 GOOS=$* $(GO) build ./...
	CGO_ENABLED=0 GOOS=$* $(GO) vet ./...

# All programs go to a directory of their own, where xrat finds its core beside
# it and the user's own xray, if there is one, stays what it is.
.PHONY: install
install: build ## install below PREFIX (default: ~/.local)
	install -d '$(DESTDIR)$(PREFIX)/lib/xrat' '$(DESTDIR)$(PREFIX)/bin'
	install -m 755 $(PROGRAMS) bin/xray '$(DESTDIR)$(PREFIX)/lib/xrat'
	for program in $(notdir $(PROGRAMS)); do \
		ln -sfn "../lib/xrat/$$program" '$(DESTDIR)$(PREFIX)/bin'/"$$program" || exit 1; \
	done
	install -d '$(DESTDIR)$(PREFIX)/share/applications'
	sed 's|@EXEC@|"$(PREFIX)/lib/xrat/xrat-tray"|' assets/xrat-tray.desktop > '$(DESTDIR)$(PREFIX)/share/applications/xrat-tray.desktop'
	cd assets/icons && find hicolor -name xrat-connected.png -exec install -D -m 644 '{}' '$(DESTDIR)$(PREFIX)/share/icons/{}' ';'

.PHONY: uninstall
uninstall: ## remove what install put there
	rm -f $(foreach program,$(notdir $(PROGRAMS)),'$(DESTDIR)$(PREFIX)/bin/$(program)')
	rm -rf '$(DESTDIR)$(PREFIX)/lib/xrat'
	rm -f '$(DESTDIR)$(PREFIX)/share/applications/xrat-tray.desktop' '$(DESTDIR)$(PREFIX)'/share/icons/hicolor/*/apps/xrat-connected.png

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist artifacts
