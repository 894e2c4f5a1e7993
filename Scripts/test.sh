#!/usr/bin/env bash
# Builds and runs all tests in release mode; arguments go to `swift test` (--filter NAME). TRAITS in the
# environment names package traits to build with.
# shellcheck source=Scripts/common.sh
source "$(dirname "$0")/common.sh"

Scripts/setup.sh
build --build-tests ${TRAITS:+--traits "$TRAITS"}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
swift test --configuration release --skip-build --disable-xctest ${TRAITS:+--traits "$TRAITS"} "$@" 2>&1 | tee "$log"
grep -Eq 'Test run with [1-9][0-9]* tests?' "$log" || fail "no test ran"
