#!/usr/bin/env bash
# Our speed beside the peers', in one table; arguments go to Benchmarks/peers.py. The peers are
# installed into ./bench-venv, or are in the environment that DVAE_BENCH_VENV names.
# shellcheck source=Scripts/common.sh
source "$(dirname "$0")/common.sh"

Scripts/setup.sh
venv=${DVAE_BENCH_VENV:-bench-venv}
if [[ ! -e $venv/.complete && -z ${DVAE_BENCH_VENV:-} ]]; then
  say "installing the peers into $venv (PyTorch is large)"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --requirement Benchmarks/requirements.txt
  "$venv/bin/pip" install --quiet --no-deps DALL-E==0.1
  touch "$venv/.complete"
fi
swift build --configuration release --product dvae >&2
dvae="$(swift build --configuration release --show-bin-path)/dvae"
"$venv/bin/python" Benchmarks/peers.py --dvae "$dvae" "$@"
