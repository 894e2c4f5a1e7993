# Shared by the scripts beside it; source it first. It moves to the package's root.
# shellcheck shell=bash
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '%s: %s\n' "$(basename "$0" .sh)" "$*"; }
fail() {
  say "$*" >&2
  exit 1
}
