#!/usr/bin/env bash
# Fuzzes readers with libFuzzer and AddressSanitizer (Linux, the compiler of swift.org):
#   fuzz.sh                  prints the names of the readers
#   fuzz.sh NAME|all SECONDS fuzzes one reader, or each of them
#   fuzz.sh NAME FILE...     reads these inputs, to reproduce a finding
# Seeds are made from the fixtures, and those of Tests/Fuzz/Seeds/NAME are added. Inputs that reach new code
# stay in .build/fuzz-corpus/NAME for the next run. A finding is written to .build/fuzz-corpus/found, and the
# script fails.
# shellcheck source=Scripts/common.sh
source "$(dirname "$0")/common.sh"

build=(--configuration release --scratch-path "${FUZZ_BUILD:-.build/fuzz}" --traits Server
  --sanitize fuzzer --sanitize address)
export DVAE_FUZZ=1
Scripts/setup.sh libmicrohttpd
swift build "${build[@]}" --product DVAEFuzz
program=$(swift build "${build[@]}" --show-bin-path)/DVAEFuzz

corpus=.build/fuzz-corpus
mkdir -p $corpus/found
# In memory where that is possible: targets write files, which would wait for the disk.
TMPDIR=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
# libFuzzer reports crashes itself.
export SWIFT_BACKTRACE=enable=no
export ASAN_OPTIONS=quarantine_size_mb=32:detect_leaks=${LEAKS:-1}
# An input of 64 KiB that takes 10 seconds or more than these megabytes is a finding.
limits=(-timeout=10 -rss_limit_mb=2048 -malloc_limit_mb=512 -max_len=65536
  -len_control=100)

fuzz() { # fuzz NAME SECONDS
  local folders=("$corpus/$1") seeds
  seeds=$(mktemp -d)
  mkdir -p "$corpus/$1"
  DVAE_FUZZ_TARGET=$1 DVAE_FUZZ_SEEDS=$seeds "$program"
  folders+=("$seeds")
  if [[ -d Tests/Fuzz/Seeds/$1 ]]; then folders+=("Tests/Fuzz/Seeds/$1"); fi
  DVAE_FUZZ_TARGET=$1 "$program" "${folders[@]}" "${limits[@]}" -max_total_time="$2" \
    -artifact_prefix="$corpus/found/$1-" -print_final_stats=1 >"$corpus/$1.log" 2>&1 || {
    tail -n 40 "$corpus/$1.log"
    fail "$1: see $corpus/found and $corpus/$1.log"
  }
  say "$1: $(awk '/number_of_executed_units/ { print $2 }' "$corpus/$1.log") inputs"
}

case $# in
  0) "$program" ;;
  1) fail "expected NAME|all SECONDS, or NAME FILE..." ;;
  *)
    if [[ -e $2 ]]; then
      DVAE_FUZZ_TARGET=$1 "$program" "${limits[@]}" "${@:2}"
      exit
    fi
    names=("$1")
    if [[ $1 == all ]]; then
      list=$("$program")
      mapfile -t names <<<"$list"
    fi
    for name in "${names[@]}"; do fuzz "$name" "$2"; done
    ;;
esac
