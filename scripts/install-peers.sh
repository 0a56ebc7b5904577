#!/usr/bin/env bash
# Installs the programs that tests talk to, where they are missing: the openssl
# command with its CMP client (3.0 or newer). A machine without them and without
# a way to get them fails here, not by a skipped test.
set -euo pipefail

have_cmp() { openssl cmp -help >/dev/null 2>&1; }

if have_cmp; then
	exit 0
fi
if command -v apt-get >/dev/null; then
	sudo=""
	[ "$(id -u)" = 0 ] || sudo="sudo"
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get update -q
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends openssl
fi
have_cmp || {
	echo "openssl 3.0 or newer with its cmp command is needed for the tests; install it and repeat" >&2
	exit 1
}
