#!/usr/bin/env bash
# Trains with two processes of Open MPI, which is installed on Debian or Ubuntu if it is missing.
# The run must equal that of one process up to rounding, and a killed process must end it with a
# message and a checkpoint to resume from.
# shellcheck source=Scripts/common.sh
source "$(dirname "$0")/common.sh"

Scripts/setup.sh
if ! command -v mpirun >/dev/null; then apt_install libopenmpi-dev openmpi-bin; fi
say "building with the trait MPI"
build=${1:-.build/mpi}
build --product dvae --traits MPI --scratch-path "$build"
dvae=$build/release/dvae
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
train=(train --preset tiny --data Examples/photos --batch-size 8 --validation-images 2
  --validate-every 1000 --threads 1 --quiet)
# Containers run as root on few cores.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
two=(mpirun --oversubscribe -n 2)

say "two processes at batch 4 beside one at batch 8"
# The first updates of the preset's own schedules.
"$dvae" "${train[@]}" --print-config | sed 's/^  "updates" : .*/  "updates" : 8,/' >"$work/first.json"
first=(train --config "$work/first.json" --threads 1 --quiet)
"$dvae" "${first[@]}" --micro-batch 4 --output "$work/one" >/dev/null
"${two[@]}" "$dvae" "${first[@]}" --output "$work/two" >/dev/null
# The first losses differ by rounding; the last ones also by seven updates of all parameters, in which a
# rounding error grows to 10⁻³ at times (docs/accelerators.md).
compare() {
  paste -d, "$work/$1/metrics.csv" "$work/$2/metrics.csv" | awk -F, '
    NR == 1 { columns = NF / 2; next }
    { difference = $3 - $(columns + 3); if (difference < 0) difference = -difference
      if (NR == 2) first = difference
      if (difference > worst) worst = difference; rows++ }
    END { printf "difference of the first losses: %.2g; largest of %d: %.2g\n", first, rows, worst
          exit rows != 8 || first > 5e-6 || worst > 2e-3 }' || fail "the runs differ"
}
compare one two

if "$dvae" devices 2>/dev/null | grep -q "^cpu-xla *0:"; then
  say "two processes with a device each beside one device"
  device=(--device cpu-xla --micro-batch 4)
  "$dvae" "${first[@]}" "${device[@]}" --output "$work/device" >/dev/null
  "${two[@]}" "$dvae" "${first[@]}" "${device[@]}" --output "$work/devices" >/dev/null
  compare device devices
  compare one device
else
  say "XLA's CPU plugin is not installed, so no devices are tried: Scripts/install-device.sh cpu-xla"
fi

say "killing one of two processes"
"${two[@]}" "$dvae" "${train[@]}" --updates 100000 --checkpoint-every 2 --output "$work/killed" \
  >/dev/null 2>"$work/message" &
launcher=$!
until compgen -G "$work/killed/checkpoints/*" >/dev/null; do
  kill -0 $launcher 2>/dev/null || fail "the run ended by itself: $(cat "$work/message")"
  sleep 0.2
done
kill -KILL "$(pgrep -P $launcher | tail -n 1)"
if wait $launcher; then fail "the run went on without one of its processes"; fi
grep -q "signal 9" "$work/message" || fail "no message names the killed process"
done=$(sed -n '$s/,.*//p' "$work/killed/metrics.csv")
"$dvae" train --output "$work/killed" --updates $((done + 1)) --threads 1 --quiet >/dev/null ||
  fail "the run cannot be taken up"
say "passed"
