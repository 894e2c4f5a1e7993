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
venv=${DVAE_BENCH_VENV:-accelerator-venv}
if [[ ! -e $venv/.complete && -z ${DVAE_BENCH_VENV:-} ]]; then
  say "installing PyTorch and JAX into $venv (several GB)"
  python3 -m venv "$venv"
  jax='jax[cuda13]'
  if [[ " $* " == *" --quick "* ]]; then jax=jax; fi
  # JAX by itself: one that cannot be installed here is named in the table and costs only its own rows.
  "$venv/bin/pip" install --quiet --constraint Benchmarks/requirements.txt torch numpy pillow attrs requests
  "$venv/bin/pip" install --quiet "$jax" || say "JAX could not be installed"
  # Its own requirements are of 2021.
  "$venv/bin/pip" install --quiet --no-deps DALL-E==0.1
  touch "$venv/.complete"
fi
if [[ -z ${DVAE:-} ]]; then
  Scripts/build.sh dvae >&2
  DVAE=.build/release/dvae
fi
"$venv/bin/python" Benchmarks/accelerator.py --dvae "$DVAE" "$@"
