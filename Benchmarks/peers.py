"""Encoding and decoding beside every runtime that one could use instead: one Markdown table.

`make bench` runs it in a virtual environment of its own. All runtimes compute the same network with
the same weights (random ones: the speed does not depend on them) on the same photo, with the same
number of threads, in turns: A B C A B C ... Each row gives the median and the range over the
rounds, and the median over the rounds of our time divided by the row's. Tokens are compared with
PyTorch eager's in the same run.

Decoding starts from tokens; the peers get the one-hot tensor that they need ready-made. The rows
"one photo, command line" are whole processes, from start to token file.
"""

import argparse
import json
import os
import sys
import tempfile
import time

import numpy as np

from report import interleaved, machine, ratio, spread
from workers import Worker, run_and_measure, serve

OURS = "swift-dvae"
PEERS = ["ONNX Runtime", "OpenVINO", "torch.compile, frozen", "PyTorch eager"]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dvae", default=".build/release/dvae", help="our program")
    parser.add_argument("--photo", default="Examples/photos/kodim23.png")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--n-hid", type=int, default=256)
    parser.add_argument("--vocabulary", type=int, default=8192)
    parser.add_argument("--tasks", default="encode:1,encode:8,decode:1,command-line")
    parser.add_argument("--work", help="keeps weights and exported networks in this folder")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        from runtimes import Bench

        return serve(Bench(options.worker, options.work, options.photo, options.threads).answer)
    if options.work:
        return compare(options, options.work)
    with tempfile.TemporaryDirectory() as work:
        return compare(options, work)


def compare(options, work):
    make_weights(options, work)
    # The tokens that decoding starts from, and that ours are compared by.
    ours = tokenize(options, work)
    lines = []
    for task in options.tasks.split(","):
        if task == "command-line":
            lines += command_line(options, work)
        else:
            what, batch = task.split(":")
            lines += runtimes(options, work, what, int(batch), ours)
    print(f"n_hid {options.n_hid}, vocabulary {options.vocabulary}, float32, 256×256, "
          f"{options.rounds} interleaved rounds; {machine(options.threads)}\n")
    print("| task | runtime | median s/image | range | ours ÷ this | tokens differing | peak MB |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    print("\n".join(lines))


def make_weights(options, work):
    """encoder.pkl and decoder.pkl in a process that ends, so that no memory is counted twice."""
    if os.path.exists(os.path.join(work, "decoder.pkl")):
        return
    os.makedirs(work, exist_ok=True)
    code = ("import sys, reference_model as r; a = sys.argv; "
            "r.save(*r.make_models(int(a[1]), int(a[2]), photos=[a[3]]), a[4])")
    utilities = os.path.join(os.path.dirname(__file__), "..", "Utilities")
    os.environ["PYTHONPATH"] = utilities
    run_and_measure([sys.executable, "-c", code, str(options.n_hid), str(options.vocabulary),
                     options.photo, work], options.threads)


def tokenize(options, work):
    """Our tokens of the photo, from our command line; they stay in tokens.npy."""
    path = os.path.join(work, "tokens.npy")
    remove(path)
    run_and_measure(our_tokenize(options, work, path), options.threads)
    return np.load(path)[0].ravel()


def our_tokenize(options, work, output):
    return [options.dvae, "tokenize", options.photo, "--weights", work, "--output", output,
            "--threads", str(options.threads), "--quiet"]


def runtimes(options, work, what, batch, ours):
    """The rows of one task."""
    command = [sys.executable, __file__, "--work", work, "--photo", options.photo,
               "--threads", str(options.threads), "--worker"]
    workers = {name: Worker(command + [name], options.threads) for name in PEERS}
    tokens, errors = {OURS: ours}, {}

    def ask(name):
        answer = workers[name].ask(what=what, batch=batch)
        if "error" in answer:
            errors[name] = answer["error"]
            return None
        if "tokens" in answer:
            tokens[name] = np.array(answer["tokens"])
        return answer["seconds"] / batch

    def us():
        output, _ = run_and_measure(
            [options.dvae, "benchmark", "--what", what, "--weights", work, "--batch-size",
             str(batch), "--threads", str(options.threads), "--runs", "1", "--json"],
            options.threads)
        return json.loads(output)["min_seconds_per_image"]

    # The first answer prepares: it compiles, optimises and warms up, and is not counted.
    contenders = {OURS: us}
    for name in workers:
        if ask(name) is not None:
            contenders[name] = lambda name=name: ask(name)
    times = interleaved(options.rounds, contenders)
    for worker in workers.values():
        worker.close()

    rows = []
    for name in [OURS, *workers]:
        label = f"| {what}, batch {batch} | {name} |"
        if name not in times:
            rows.append(f"{label} not measured: {errors.get(name)} | | | | |")
            continue
        reference = tokens.get("PyTorch eager")
        differing = ""
        if what == "encode" and reference is not None and name != "PyTorch eager":
            differing = f"{np.count_nonzero(tokens[name] != reference)} of {reference.size}"
        rows.append(f"{label} {spread(times[name])} | {ratio(times[OURS], times[name]):.2f} "
                    f"| {differing} | |")
    return rows


def command_line(options, work):
    """One photo from process start to token file, beside the shortest script with PyTorch."""
    script = os.path.join(os.path.dirname(__file__), "tokenize_photo.py")
    outputs = {OURS: os.path.join(work, "ours.npy"), "PyTorch script": os.path.join(work, "py.npy")}
    commands = {
        OURS: our_tokenize(options, work, outputs[OURS]),
        "PyTorch script": [
            sys.executable, script, os.path.join(work, "encoder.pkl"), options.photo,
            outputs["PyTorch script"], str(options.threads)],
    }
    peaks = {name: 0 for name in commands}

    def run(name):
        remove(outputs[name])
        start = time.perf_counter()
        _, peak = run_and_measure(commands[name], options.threads)
        seconds = time.perf_counter() - start
        peaks[name] = max(peaks[name], peak)
        return seconds

    times = interleaved(
        options.rounds, {name: lambda name=name: run(name) for name in commands})
    arrays = {name: np.load(path).ravel() for name, path in outputs.items()}
    differing = np.count_nonzero(arrays[OURS] != arrays["PyTorch script"])
    rows = []
    for name in commands:
        note = f"{differing} of {arrays[name].size}" if name == OURS else ""
        rows.append(f"| one photo, command line | {name} | {spread(times[name])} "
                    f"| {ratio(times[OURS], times[name]):.2f} | {note} "
                    f"| {peaks[name] / 1e6:.0f} |")
    return rows


def remove(path):
    """Removes a token file and what stands beside it."""
    for name in (path, path + ".json"):
        if os.path.exists(name):
            os.remove(name)


if __name__ == "__main__":
    sys.exit(main())
