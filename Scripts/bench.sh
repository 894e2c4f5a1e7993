#!/usr/bin/env bash
# Our speed beside the peers', in one table; arguments go to Benchmarks/bench.py. The peers are
# installed into ./bench-venv, or are in the environment that DVAE_BENCH_VENV names.
# shellcheck source=Scripts/common.sh
source "$(dirname "$0")/common.sh"

Scripts/setup.sh
venv=${DVAE_BENCH_VENV:-bench-venv}
if [[ -z ${DVAE_BENCH_VENV:-} ]]; then
  mapfile -t peers < <(grep -v '^#' Benchmarks/requirements.txt)
  peer_environment "$venv" "${peers[@]}"
fi
build --product dvae >&2
dvae="$(build --show-bin-path)/dvae"
"$venv/bin/python" Benchmarks/bench.py --dvae "$dvae" "$@"
