#!/usr/bin/env bash
# Installs the real clients and servers that the tests run, only those that are missing. Debian 12 or later, as root.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

# command:package
wanted=(
  skopeo:skopeo podman:podman buildah:buildah runc:runc umoci:umoci docker-registry:docker-registry
  promtool:prometheus htpasswd:apache2-utils curl:curl openssl:openssl setpriv:util-linux gcc:gcc python3:python3
  sqlite3:sqlite3 chromium:chromium chromedriver:chromium-driver node:nodejs npm:npm
)
missing=()
for entry in "${wanted[@]}"; do
  command -v "${entry%%:*}" >/dev/null 2>&1 || missing+=("${entry#*:}")
done
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" != 0 ]; then
    echo "test-peers: missing ${missing[*]}: install them, or run as root" >&2
    exit 1
  fi
  # Several of these packages start a daemon on every address when they are installed; this forbids it meanwhile.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    trap 'rm -f "$policy"' EXIT
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q
  apt-get install -y -q --no-install-recommends "${missing[@]}"
fi

# A second kubectl: Debian's 1.20 reads plain discovery and OpenAPI v2, where newer ones read the aggregated forms. It is
# unpacked beside, since another package may own /usr/bin/kubectl.
cache=${BERTH_TEST_CACHE:-$here/../target/test-peers}
mkdir -p "$cache"
if [ ! -x "$cache/kubectl-1.20/kubectl" ]; then
  scratch=$(mktemp -d)
  (
    cd "$scratch"
    apt-get download -q kubernetes-client >/dev/null 2>&1 || { apt-get update -q; apt-get download -q kubernetes-client; }
    dpkg-deb -x kubernetes-client_*.deb tree
  )
  mkdir -p "$cache/kubectl-1.20"
  cp "$scratch/tree/usr/bin/kubectl" "$cache/kubectl-1.20/kubectl"
  rm -rf "$scratch"
fi

# An OpenID provider to log in with; its version is fixed so that a new one cannot break the tests by surprise.
oidc_provider=9.13.3
if ! grep -qs "\"version\": \"$oidc_provider\"" "$cache/oidc/node_modules/oidc-provider/package.json"; then
  mkdir -p "$cache/oidc"
  npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$cache/oidc" "oidc-provider@$oidc_provider"
fi

"$here/cargo-tool.sh" cargo-nextest
