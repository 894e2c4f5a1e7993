# Shared by the scripts in this folder; source it first. It changes to the package's root.
# shellcheck shell=bash
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '%s: %s\n' "$(basename "$0" .sh)" "$*"; }
# Builds for release; arguments go to `swift build`. Debug information would cost a tenth of the time;
# backtraces have their names without it.
build() { swift build --configuration release -debug-info-format none "$@"; }
fail() {
  say "$*" >&2
  exit 1
}

as_root() {
  if ((EUID == 0)); then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    fail "not root and no sudo: as root, run: $*"
  fi
}

# Installs packages of Debian or Ubuntu: apt_install PACKAGE...
apt_install() {
  local install=(env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends)
  say "installing $* with apt-get"
  as_root "${install[@]}" "$@" || { as_root apt-get update && as_root "${install[@]}" "$@"; }
}

# Makes a Python environment of the benchmarks' peers: peer_environment FOLDER PACKAGE...
# A package that cannot be installed costs only its own rows, and is tried again the next time.
peer_environment() {
  local venv=$1 complete=1 package
  if [[ -e $venv/.complete ]]; then return; fi
  say "installing ${*:2} into $venv (PyTorch is large)"
  python3 -m venv "$venv"
  for package in "${@:2}"; do
    "$venv/bin/pip" install --quiet --constraint Benchmarks/requirements.txt "$package" ||
      { say "$package could not be installed" && complete=0; }
  done
  # Its own requirements are of 2021.
  "$venv/bin/pip" install --quiet --no-deps DALL-E==0.1 ||
    { say "DALL-E could not be installed" && complete=0; }
  if ((complete)); then touch "$venv/.complete"; fi
}
