#!/usr/bin/env bash
# Our speed beside the peers', in one table; arguments go to Benchmarks/bench.py. The peers are
# installed into ./bench-venv, or are in the environment that DVAE_BENCH_VENV names.
# shellcheck source=Scripts/common.sh
source "$(dirname "$0")/common.sh"

# Each peer by itself, at the versions of requirements.txt: one that cannot be installed here is
# named in the table and costs only its own rows.
install_peers() {
  grep -v '^#' Benchmarks/requirements.txt \
    | xargs -n 1 "$venv/bin/pip" install --quiet --constraint Benchmarks/requirements.txt \
    || say "not all peers could be installed"
  # Its own requirements are of 2021.
  "$venv/bin/pip" install --quiet --no-deps DALL-E==0.1
}

Scripts/setup.sh
venv=${DVAE_BENCH_VENV:-bench-venv}
if [[ ! -e $venv/.complete && -z ${DVAE_BENCH_VENV:-} ]]; then
  say "installing the peers into $venv (PyTorch is large)"
  python3 -m venv "$venv"
  install_peers
  touch "$venv/.complete"
fi
build --product dvae >&2
dvae="$(build --show-bin-path)/dvae"
"$venv/bin/python" Benchmarks/bench.py --dvae "$dvae" "$@"
