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
