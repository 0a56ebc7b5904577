#!/usr/bin/env bash
# Runs every fuzz target of the module for a time: fuzz.sh GO TIME
set -euo pipefail
go=$1 time=$2
log=$(mktemp)
grep -rlE '^func Fuzz[A-Za-z0-9_]+\(' --include='*_test.go' . | xargs -n1 dirname | sort -u | while read -r dir; do
	grep -rhoE '^func Fuzz[A-Za-z0-9_]+' "$dir"/*_test.go | sed 's/^func //' | sort -u | while read -r target; do
		echo "fuzz $dir $target"
		"$go" test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$dir" </dev/null >"$log" 2>&1 || {
			cat "$log"
			exit 1
		}
	done
done
rm -f /tmp/fuzz.$$
