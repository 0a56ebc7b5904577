# make test   everything CI runs; installs the counterparties that are missing
# make bench  the crypto floor, the durable end-to-end rate, and their ratio
# make fuzz   every fuzz target for FUZZTIME (default 1m) each
# make build  the binary in bin/
GO       ?= go
FUZZTIME ?= 1m

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK = golang.org/x/vuln/cmd/govulncheck@v1.9.0

.PHONY: build test check peers fuzz fuzz-smoke bench soak clean

build:
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/cmp-batch ./cmd/cmp-batch

# The scripts of cmd start the program some thousand times, which the race
# detector makes slow and tells nothing new about: there it watches the tests of
# the daemon alone. The closing lines are those of go test.
test: peers check fuzz-smoke
	$(GO) test -count=1 -race -timeout 20m $$($(GO) list ./... | grep -v /cmd/)
	$(GO) test -count=1 -race -timeout 20m -run '$(DAEMON)' ./cmd/cmp-batch
	$(GO) test -count=1 -timeout 20m ./cmd/...

DAEMON = TestCrash|TestDaemon|TestSecondInstance|TestMetrics|TestBadInput

check:
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "not gofmt-ed: run gofmt -w ."; exit 1; }
	$(GO) vet ./...
	CGO_ENABLED=0 $(GO) build ./...
	GOOS=darwin CGO_ENABLED=0 $(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	scripts/govulncheck.sh $(GO) $(GOVULNCHECK)

peers:
	scripts/install-peers.sh

fuzz-smoke:
	scripts/fuzz.sh $(GO) 3s

fuzz:
	scripts/fuzz.sh $(GO) $(FUZZTIME)

bench:
	$(GO) test -run '^$$' -bench EndToEnd -benchtime 1x -timeout 30m ./cmd/cmp-batch

# Longer runs of the crash test; -crash.seed repeats one.
soak:
	$(GO) test -run TestCrash -v -count=1 -timeout 2h ./cmd/cmp-batch -args -crash.requests 20000 -crash.kills 300

clean:
	rm -rf bin dist
