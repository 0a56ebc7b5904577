# make test: everything CI runs. make build: the binary in bin/.
GO ?= go
.PHONY: build test vet
build:
	CGO_ENABLED=0 $(GO) build -trimpath ./...
vet:
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "not gofmt-ed: run gofmt -w ."; exit 1; }
	$(GO) vet ./...
test: vet
	$(GO) test -run '^$$' -fuzz FuzzScan -fuzztime 5s ./cmpcore/der
	$(GO) test -count=1 -race ./...
