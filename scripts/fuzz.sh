#!/usr/bin/env bash
# Runs every fuzz target of the module for a time: fuzz.sh GO TIME
set -euo pipefail
go=$1 time=$2
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# When the time is up while a worker is busy, the fuzzing engine may call that a
# failure: "context deadline exceeded", with no input to blame
# (golang/go#75804, mended in Go 1.27). An input that fails or hangs is always
# named, so what names none is no finding.
out_of_time() {
	grep -q '^ *context deadline exceeded$' "$log" &&
		! grep -qE 'Failing input|hung or terminated|panic|fatal error|_test\.go:' "$log"
}

grep -rlE '^func Fuzz[A-Za-z0-9_]+\(' --include='*_test.go' . | xargs -n1 dirname | sort -u | while read -r dir; do
	grep -rhoE '^func Fuzz[A-Za-z0-9_]+' "$dir"/*_test.go | sed 's/^func //' | sort -u | while read -r target; do
		echo "fuzz $dir $target"
		"$go" test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$dir" </dev/null >"$log" 2>&1 || out_of_time || {
			cat "$log"
			exit 1
		}
	done
done
