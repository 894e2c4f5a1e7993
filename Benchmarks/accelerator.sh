#!/usr/bin/env bash
# A training step and the encoder on a GPU beside torch.compile and JAX, in one table; arguments go to
# Benchmarks/accelerator.py, whose --help lists them. The program is built, unless DVAE names one. The peers
# are installed into ./accelerator-venv, or are in the environment that DVAE_BENCH_VENV names. --quick tries
# it without a GPU.
# shellcheck source=Scripts/common.sh
source "$(dirname "$0")/../Scripts/common.sh"

if [[ " $* " == *" --help "* || " $* " == *" -h "* ]]; then
  exec python3 Benchmarks/accelerator.py --help
fi
jax='jax[cuda13]' venv=${DVAE_BENCH_VENV:-accelerator-venv}
if [[ " $* " == *" --quick "* ]]; then jax=jax venv=${DVAE_BENCH_VENV:-accelerator-venv-quick}; fi
if [[ -z ${DVAE_BENCH_VENV:-} ]]; then
  peer_environment "$venv" torch numpy pillow attrs requests "$jax"
fi
if [[ -z ${DVAE:-} ]]; then
  Scripts/build.sh dvae >&2
  DVAE=.build/release/dvae
fi
"$venv/bin/python" Benchmarks/accelerator.py --dvae "$DVAE" "$@"
