"""How closely eight updates on a device follow the CPU's: follow_device.py DVAE [DEVICE]

Trains the presets tiny and starter on Examples/photos, with their own schedules: on the CPU, on the CPU
with the portable kernels, on the device, there with two micro-batches, on two devices, and, with a
program that is built with --traits MPI, by two processes of Open MPI with a device each. Prints the
relative difference of each update's loss from the CPU's. The portable kernels are the yardstick: they
differ from the best ones only in rounding.
"""

import argparse
import csv
import json
import os
import pathlib
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
UPDATES = 8


def settings(dvae, preset, seed, folder):
    """A configuration with the preset's own schedules that ends after few updates."""
    run = folder / f"{preset}.settings"
    # A run for its settings alone: it is stopped before its first update.
    process = subprocess.Popen([dvae, "train", "--preset", preset, "--data", ROOT / "Examples/photos",
                                "--output", run, "--threads", "1", "--quiet"], stdout=subprocess.DEVNULL)
    while not (run / "config.json").exists() and process.poll() is None:
        time.sleep(0.1)
    process.kill()
    process.wait()
    settings = json.loads((run / "config.json").read_text())
    settings |= {"updates": UPDATES, "seed": seed}
    path = folder / f"{preset}.json"
    path.write_text(json.dumps(settings))
    return path


def losses(command, output, **variables):
    """The losses of a run."""
    subprocess.run([*command, "--output", output], check=True, stdout=subprocess.DEVNULL,
                   env=dict(os.environ, **variables))
    with open(output / "metrics.csv", encoding="utf-8") as table:
        return [float(row["loss"]) for row in csv.DictReader(table)]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dvae")
    parser.add_argument("device", nargs="?", default="cpu-xla")
    parser.add_argument("--mpi", metavar="DVAE", help="a program built with --traits MPI")
    parser.add_argument("--presets", default="tiny,starter")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        for preset in options.presets.split(","):
            compare(options, preset, folder)


def compare(options, preset, folder):
    """Prints the rows of a preset."""
    config = settings(options.dvae, preset, options.seed, folder)

    def train(*arguments, program=(options.dvae,)):
        return [*program, "train", "--config", config, "--threads", "1", "--quiet", *arguments]

    def row(name, command, **variables):
        found = losses(command, folder / f"{preset} {name}", **variables)
        assert len(found) == UPDATES, found
        return found

    device = ["--device", options.device]
    halves = ["--micro-batch", "4"]
    cpu = row("CPU", train())
    print(f"{preset}: losses on the CPU " + " ".join(f"{loss:.3f}" for loss in cpu), flush=True)
    runs = {
        "CPU, portable kernels": (train(), {"DVAE_INSTRUCTION_SET": "portable"}),
        options.device: (train(*device), {}),
        "two micro-batches": (train(*device, *halves), {}),
        "two devices": (train(*device, *halves, "--devices", "2"), {}),
    }
    if options.mpi:
        two = ["mpirun", "--oversubscribe", "--allow-run-as-root", "-n", "2", options.mpi]
        runs["two processes"] = (train(*device, *halves, program=two), {})
    for name, (command, variables) in runs.items():
        found = row(name, command, **variables)
        differences = " ".join(f"{abs(a / b - 1):.0e}" for a, b in zip(found, cpu))
        print(f"{preset}: {name:22} {differences}", flush=True)


if __name__ == "__main__":
    main()
