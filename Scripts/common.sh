# Shared by the scripts in this folder; source it first. It changes to the package's root.
# shellcheck shell=bash
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '%s: %s\n' "$(basename "$0" .sh)" "$*"; }
fail() {
  say "$*" >&2
  exit 1
}
