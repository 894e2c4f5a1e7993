"""A training step and the encoder on an accelerator, beside torch.compile and JAX: one Markdown table.

`Benchmarks/accelerator.sh` runs it in a virtual environment of its own; `--quick` tries the whole
script without a GPU, at a tiny size, with XLA, PyTorch and JAX on this machine's CPU. All compute the
same in bfloat16 on the same card, in turns: A B C A B C ... Each measurement is the median of several
runs in a process of its own, because every runtime reserves most of the card's memory; each keeps its
compiled programs on disk, and the first round, which compiles, does not count.

TFLOP/s count the multiplications of the direct algorithm, 2 for a multiply-add, three times the forward
pass for a training step. "of peak" divides them by the dense bfloat16 speed in the card's data sheet.
A peer that is missing or fails keeps its row, with the reason.

A case is WHAT:N_HID:VOCABULARY:SIDE:BATCH, where WHAT is train or encode.
"""

import argparse
import dataclasses
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

from contenders import Command
from report import Task, machine, versioned

ROOT = pathlib.Path(__file__).resolve().parent.parent

HEADER = """\
| task, bfloat16 | runtime | median s | range | ours ÷ this | TFLOP/s | of peak |
| --- | --- | --- | --- | --- | --- | --- |"""
FULL = "train:256:8192:256:32,train:64:8192:128:8,encode:256:8192:256:32,encode:64:8192:256:32"
QUICK = "train:16:64:32:2,encode:16:64:32:2"
PEERS = {
    "torch": versioned("torch", "PyTorch", "torch.compile, channels last"),
    "jax": versioned("jax", "JAX", "jit"),
}
# Dense bfloat16 TFLOP/s by the first of these that is in the device's name.
PEAKS = {
    "H100 PCIe": 756, "H100 NVL": 835, "H100": 989, "H200": 989, "B200": 2250, "A100": 312,
    "L40S": 362, "L4": 121, "RTX 4090": 165,
}


@dataclasses.dataclass
class DeviceTask(Task):
    """Contenders on one card, with the floating-point operations of the task in TFLOP."""

    tflop: float = 0
    peak: float = 0

    def row(self, contender, ours, theirs, same):
        ratio = statistics.median(a / b for a, b in zip(ours, theirs))
        speed = self.tflop / statistics.median(theirs)
        share = f"{100 * speed / self.peak:.0f} %" if self.peak else ""
        return (f"| {self.title} | {contender.name} | {statistics.median(theirs):.4f} | "
                f"{min(theirs):.4f}–{max(theirs):.4f} | {ratio:.2f} | {speed:.3g} | {share} |")


def printed(*command):
    """Returns the output of a command; its failure ends the benchmark."""
    return subprocess.run([str(word) for word in command], check=True, text=True, stdout=subprocess.PIPE).stdout


def task(case, options, caches):
    """The contenders of a case."""
    what, n_hid, vocabulary, side, batch = case.split(":")
    unit, images = ("step", 1) if what == "train" else ("image", int(batch))
    command = [
        options.dvae, "benchmark", "--what", what, "--n-hid", n_hid, "--vocabulary", vocabulary,
        "--resolution", side, "--batch-size", batch, "--device", options.device,
        "--precision", "bfloat16", "--runs", options.runs, "--json"]
    report = json.loads(printed(*command))
    seconds = report[f"min_seconds_per_{unit}"] * images
    peak = options.peak or next((PEAKS[name] for name in PEAKS if name in report["engine"]), 0)
    threads = options.threads
    contenders = [Command(
        f"swift-dvae {printed(options.dvae, '--version').strip()}, {report['engine']}", command, threads,
        read=lambda printed: json.loads(printed)[f"median_seconds_per_{unit}"] * images)]
    platform = "cpu" if options.device.startswith("cpu") else "cuda"
    for peer, name in PEERS.items():
        contender = Command(
            name, [sys.executable, pathlib.Path(__file__).with_name("device_peers.py"), peer, case,
                   platform, options.runs], threads, read=float)
        contender.environment |= caches
        contenders.append(contender)
    title = f"{what}, n_hid {n_hid}, {side}×{side}, batch {batch}"
    return DeviceTask(
        title, contenders, tflop=report["achieved_gflops"] / 1000 * seconds, peak=peak)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dvae", default=str(ROOT / ".build/release/dvae"), help="our program")
    parser.add_argument("--device", help="of dvae; PyTorch and JAX use the CPU beside cpu-xla, and CUDA beside "
                        "any other (default: cuda, with --quick cpu-xla)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes on the CPU, 2 rounds of 3 runs")
    parser.add_argument("--cases", help=f"separated by commas (default: {FULL}; with --quick {QUICK})")
    parser.add_argument("--rounds", type=int, help="default: 5")
    parser.add_argument("--runs", type=int, help="timed runs of a measurement (default: 20)")
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch on the CPU; XLA and JAX use all cores (default: 1)")
    parser.add_argument("--peak", type=float, help="the card's bfloat16 TFLOP/s, if its name is not known")
    options = parser.parse_args()
    options.device = options.device or ("cpu-xla" if options.quick else "cuda")
    options.runs = options.runs or (3 if options.quick else 20)
    rounds = options.rounds or (2 if options.quick else 5)
    print(f"bfloat16 on {options.device}, medians of {rounds} rounds in turns; "
          f"{machine(options.threads)}\n\n{HEADER}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        caches = {
            "TORCHINDUCTOR_CACHE_DIR": folder + "/torch", "JAX_COMPILATION_CACHE_DIR": folder + "/jax",
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
        for case in (options.cases or (QUICK if options.quick else FULL)).split(","):
            print("\n".join(task(case, options, caches).rows(rounds)), flush=True)


if __name__ == "__main__":
    main()
