#!/usr/bin/env bash
# Installs the programs that tests talk to, where they are missing: the openssl
# command with its CMP client (3.0 or newer), and Bouncy Castle with a JDK (17 or
# newer). A machine without them and without a way to get them fails here, not by
# a skipped test.
set -euo pipefail

have_cmp() { openssl cmp -help >/dev/null 2>&1; }

# CMP_BATCH_BOUNCYCASTLE is a class path with Bouncy Castle of one's own.
have_bouncycastle() {
	[ -n "${CMP_BATCH_BOUNCYCASTLE:-}" ] && return
	for jar in bcpkix bcprov bcutil; do
		[ -e "/usr/share/java/$jar.jar" ] || return
	done
}

have_jdk() { javac -version >/dev/null 2>&1 && java -version >/dev/null 2>&1; }

packages=()
have_cmp || packages+=(openssl)
have_bouncycastle || packages+=(libbcpkix-java libbcprov-java libbcutil-java)
have_jdk || packages+=(default-jdk-headless)

if [ ${#packages[@]} -gt 0 ] && command -v apt-get >/dev/null; then
	sudo=""
	[ "$(id -u)" = 0 ] || sudo="sudo"
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get update -q
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${packages[@]}"
fi
missing() {
	echo "$1 is needed for the tests; install it and repeat" >&2
	exit 1
}
have_cmp || missing "openssl 3.0 or newer with its cmp command"
have_bouncycastle || missing "Bouncy Castle (bcpkix, bcprov and bcutil in /usr/share/java, or CMP_BATCH_BOUNCYCASTLE)"
have_jdk || missing "a JDK of version 17 or newer (javac and java)"
