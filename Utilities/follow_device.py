"""How closely eight updates on a device follow the CPU's: follow_device.py DVAE [DEVICE]

Trains the presets tiny and starter on Examples/photos, with their own schedules: on the CPU, on the CPU
with the portable kernels, on the device, there with two micro-batches, on two devices, and, with a
program that is built with --traits MPI, by two processes of Open MPI with a device each. Prints the
difference of each update's loss from the CPU's in nats per value: the loss is a negative log-density,
which passes through zero, so that relative differences mean little.

Two yardsticks differ from the CPU's run by rounding alone: the portable kernels, and runs of the CPU from
weights of which each is moved up or down by one unit in the last place (--ulps N such runs).
"""

import argparse
import array
import csv
import json
import os
import pathlib
import random
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
UPDATES = 8


def settings(dvae, preset, seed):
    """The preset's configuration, with its own schedules, for few updates."""
    printed = subprocess.run(
        [dvae, "train", "--preset", preset, "--data", ROOT / "Examples/photos", "--print-config"],
        check=True, stdout=subprocess.PIPE).stdout
    return json.loads(printed) | {"updates": UPDATES, "seed": seed}


def written(settings, path):
    """The path, after writing settings to it."""
    path.write_text(json.dumps(settings))
    return path


def records(command, output, **variables):
    """The updates of a run."""
    subprocess.run([*command, "--output", output], check=True, stdout=subprocess.DEVNULL,
                   env=dict(os.environ, **variables))
    with open(output / "metrics.csv", encoding="utf-8") as table:
        return list(csv.DictReader(table))


def initial_weights(settings, train, folder):
    """The parameters before the first update, by name: a shape and float32 numbers."""
    folder.mkdir()
    still = settings | {"updates": 1, "learning_rate": {"start": 0, "end": 0, "updates": 0}}
    records(train(written(still, folder / "still.json")), folder / "still")
    data = next((folder / "still/checkpoints").iterdir()).read_bytes()
    size = int.from_bytes(data[:8], "little")
    weights = {}
    for name, entry in json.loads(data[8:8 + size]).items():
        if name.startswith("parameters."):
            start, end = (8 + size + offset for offset in entry["data_offsets"])
            weights[name.removeprefix("parameters.")] = entry["shape"], array.array("i", data[start:end])
    return weights


def write_weights(weights, path, generator=None):
    """Writes weights as safetensors; a generator moves each to a neighbouring number."""
    header, content = {}, bytearray()
    for name, (shape, numbers) in weights.items():
        if generator and name.endswith(".w"):
            # As integers, neighbouring floats of one sign are consecutive; zero stays.
            numbers = array.array("i", (bits + generator.choice((-1, 1)) if bits & 0x7fffffff else bits
                                        for bits in numbers))
        offset = len(content)
        content += numbers.tobytes()
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, len(content)]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)
    return path


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dvae")
    parser.add_argument("device", nargs="?", default="cpu-xla")
    parser.add_argument("--mpi", metavar="DVAE", help="a program built with --traits MPI")
    parser.add_argument("--presets", default="tiny,starter", help="default: tiny,starter")
    parser.add_argument("--seed", type=int, default=0, help="of the runs; default: 0")
    parser.add_argument("--ulps", type=int, metavar="N", default=10,
                        help="runs of the CPU from weights that are one ulp off; default: 10")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        for preset in options.presets.split(","):
            compare(options, preset, folder)


def compare(options, preset, folder):
    """Prints the rows of a preset."""
    configuration = settings(options.dvae, preset, options.seed)
    config = written(configuration, folder / f"{preset}.json")

    def train(config, *arguments, program=(options.dvae,)):
        return [*program, "train", "--config", config, "--threads", "1", "--quiet", *arguments]

    def row(name, command, **variables):
        found = records(command, folder / f"{preset} {name}", **variables)
        assert len(found) == UPDATES, found
        return found

    def show(name, found):
        differences = [abs(float(a["loss"]) - float(b["loss"])) for a, b in zip(found, cpu)]
        norms = [abs(float(a["gradient_norm"]) / float(b["gradient_norm"]) - 1) for a, b in zip(found, cpu)]
        print(f"{preset}: {name:22} {' '.join(f'{d:.0e}' for d in differences)}; "
              f"first gradient's norm {norms[0]:.0e}", flush=True)

    device = ["--device", options.device]
    halves = ["--micro-batch", "4"]
    cpu = row("CPU", train(config))
    print(f"{preset}: losses on the CPU      " + " ".join(f"{float(r['loss']):.3f}" for r in cpu), flush=True)
    show("CPU, portable kernels", row("portable", train(config), DVAE_INSTRUCTION_SET="portable"))
    if options.ulps:
        weights = initial_weights(configuration, train, folder / f"{preset} start")
    for number in range(options.ulps):
        moved = write_weights(weights, folder / "moved.safetensors", random.Random(number))
        start = configuration | {"init": str(moved), "code_spread": 0}
        show(f"CPU, one ulp off, {number + 1}",
             row(f"ulp {number}", train(written(start, folder / "moved.json"))))
    runs = {
        options.device: train(config, *device),
        "two micro-batches": train(config, *device, *halves),
        "two devices": train(config, *device, *halves, "--devices", "2"),
    }
    if options.mpi:
        two = ["mpirun", "--oversubscribe", "--allow-run-as-root", "-n", "2", options.mpi]
        runs["two processes"] = train(config, *device, *halves, program=two)
    for name, command in runs.items():
        show(name, row(name, command))


if __name__ == "__main__":
    main()
