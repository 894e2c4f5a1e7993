"""Our speed beside everything that one could use instead: one Markdown table.

`make bench` runs it in a virtual environment of its own; `make bench ARGUMENTS=--quick` takes minutes.
All contenders of a task do the same work with the same weights and the same number of threads, in
turns: A B C A B C ... Each row gives the median and the range over the rounds, and the median over the
rounds of our time divided by the row's. "Same as ours" is the share of the tokens that equal those of
our float32, or of the picture's values that are within 1 of 255. A peer that is missing or fails keeps
its row, with the reason.

Tasks, separated by commas:
  encode:BATCH, decode:BATCH   the network in memory, per image
  lower-precision:BATCH        encode in int8 and bfloat16
  photo                        one photo, from the start of a process to the file of tokens
  bulk:PHOTOS                  so many photos with the starter model, likewise
  train:N_HID:VOCABULARY:SIDE:BATCH   one training step; train-bfloat16 likewise
  prepare:ADDRESSES            a table of so many addresses on loopback, to shards of small JPEGs

All but the bulk and the training use random weights: the speed does not depend on them.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile

import numpy as np
from PIL import Image

import train_step
import web
from contenders import Command, Worker, array
from report import HEADER, Task, machine, versioned
from runtimes import FLOAT32, LOWER_PRECISION, PHOTO, PHOTOS, ROOT, Eager, Mnn, Ncnn

HERE = pathlib.Path(__file__).resolve().parent
QUICK = ("encode:1,decode:1,lower-precision:1,photo,bulk:24,train:64:8192:128:8,"
         "train-bfloat16:64:8192:128:8")
FULL = ("encode:1,encode:8,decode:1,lower-precision:1,photo,bulk:200,train:64:8192:128:8,"
        "train-bfloat16:64:8192:128:8,train:256:8192:256:1,train-bfloat16:256:8192:256:1,prepare:4000")


class Bench:
    """The tasks, each a method, and what they share: our program, the weights, a folder for files."""

    def __init__(self, dvae, threads, n_hid, vocabulary, work):
        self.dvae, self.threads, self.work = dvae, threads, pathlib.Path(work).resolve()
        self.name = "swift-dvae " + run(dvae, "--version").strip()
        self.tokens, self.picture = self.work / "tokens.npy", self.work / "picture.npy"
        if not self.picture.exists():
            self.make_references(n_hid, vocabulary)

    def make_references(self, n_hid, vocabulary):
        """The weights, and our tokens and picture of a photo; the others' are compared with them."""
        self.work.mkdir(parents=True, exist_ok=True)
        (self.work / "vocabulary").write_text(str(vocabulary))
        reference_model(f"*r.make_models({n_hid}, {vocabulary}, photos=[{str(PHOTO)!r}])", self.work)
        self.reference_tokens(PHOTO, self.tokens.stem)
        run(self.dvae, "decode", self.tokens, "--output", self.work / "decoded", "--weights", self.work)
        np.save(self.picture, np.asarray(Image.open(next((self.work / "decoded").glob("*.png")))))

    def tokenize(self, photos, output, *flags):
        flags = flags if "--weights" in flags else ["--weights", self.work, *flags]
        return [self.dvae, "tokenize", photos, "--output", output, "--threads", self.threads,
                "--quiet", *flags]

    def reference_tokens(self, photos, name, *flags):
        """The file of our tokens, computed once for each name."""
        path = self.work / f"{name}.npy"
        if not path.exists():
            run(*self.tokenize(photos, path, *flags))
        return path

    def command(self, name, arguments, **options):
        return Command(name, arguments, self.threads, **options)

    def script(self, distribution, title, arguments, **options):
        """A peer's script as a command."""
        arguments = [sys.executable, HERE / arguments[0], *arguments[1:], self.threads]
        return self.command(versioned(distribution, title, "script"), arguments, **options)

    def benchmark(self, mode, key, *arguments, result=None):
        """Our own stop watch: like the workers', it starts when the network has been prepared."""
        return self.command(
            self.name + mode, [self.dvae, "benchmark", *arguments, "--threads", self.threads,
                               "--runs", 1, "--json"],
            result=result, read=lambda printed: json.loads(printed)[key])

    def inference(self, what, batch, peers, agreement, result, precision="float32"):
        """The network in memory. `result` reads ours: the stop watch keeps none."""
        flags = [] if precision == "float32" else ["--precision", precision]
        contenders = [self.benchmark(
            f", {precision}", "min_seconds_per_image", "--what", what, "--weights", self.work,
            "--batch-size", batch, *flags, result=result)]
        for peer in peers:
            contenders.append(Worker(
                versioned(peer.distribution, peer.title, peer.mode),
                [HERE / "runtimes.py", peer.__name__, self.work, what, batch], self.threads,
                output=self.work / f"{peer.__name__}.npy", images=int(batch)))
        lower = "" if precision == "float32" else " in lower precision"
        return Task(f"{what}{lower}, batch {batch}, per image", contenders, agreement)

    def encode(self, batch):
        return self.inference("encode", batch, FLOAT32, equal(self.tokens), array(self.tokens))

    def decode(self, batch):
        return self.inference("decode", batch, FLOAT32, alike(self.picture), array(self.picture))

    def lower_precision(self, batch):
        tokens = self.reference_tokens(PHOTO, "int8", "--precision", "int8")
        return self.inference(
            "encode", batch, LOWER_PRECISION, equal(self.tokens), array(tokens), "int8")

    def output(self):
        """A file for the tokens of commands, and the options that clear it away and read it."""
        folder = self.work / "output"
        return folder / "tokens.npy", {"fresh": folder, "result": array(folder / "tokens.npy")}

    def photo(self):
        output, options = self.output()
        contenders = [self.command(self.name, self.tokenize(PHOTO, output), **options)]
        for peer in (Mnn, Ncnn, Eager):
            contenders.append(self.script(
                peer.distribution, peer.title,
                ["tokenize_photo.py", peer.__name__, self.work, PHOTO, output], **options))
        return Task("one photo, process to file", contenders, equal(self.tokens), memory=True)

    def bulk(self, count):
        folder = self.photo_folder("bulk", int(count))
        starter = self.work / "starter"
        if not starter.exists():
            weights = self.work / "starter.safetensors"
            run(self.dvae, "weights", "convert", "starter", "--output", weights)
            reference_model(f"*r.read_safetensors({str(weights)!r})", starter)

        output, options = self.output()
        reference = self.reference_tokens(folder, f"bulk.{count}", "--weights", "starter")
        contenders = [
            self.command(
                f"{self.name}, {precision}", self.tokenize(
                    folder, output, "--weights", "starter", "--precision", precision), **options)
            for precision in ("float32", "int8")]
        contenders.append(self.script(
            "torch", "PyTorch DataLoader",
            ["tokenize_folder.py", starter / "encoder.pkl", folder, output], **options))
        return Task(f"tokenize {count} photos, starter model", contenders, equal(reference), memory=True)

    def photo_folder(self, name, count, side=None):
        """So many JPEGs made of the example photos."""
        folder = self.work / f"{name}.{count}"
        if not folder.exists():
            folder.mkdir()
            for at in range(count):
                image = Image.open(PHOTOS[at % len(PHOTOS)]).convert("RGB")
                if side:
                    image.thumbnail((side, side))
                image.save(folder / f"{at:06}.jpg", quality=88)
        return folder

    def train(self, case, precision="float32"):
        n_hid, vocabulary, side, batch = case.split(":")
        contenders = [self.benchmark(
            f", {precision}", "median_seconds_per_step", "--what", "train", "--n-hid", n_hid,
            "--vocabulary", vocabulary, "--resolution", side, "--batch-size", batch, "--precision",
            precision)]
        for mode, peer in train_step.PEERS.items():
            if ("bfloat16" in peer) == (precision == "bfloat16"):
                contenders.append(Worker(
                    versioned("torch", "PyTorch", mode), [HERE / "train_step.py", case, mode],
                    self.threads))
        has_products = {"avx512amx", "avx512bf16"} & set(
            run(self.dvae, "benchmark", "--instruction-sets").split())
        return Task(
            f"training step in {precision}, n_hid {n_hid}, {side}×{side}, batch {batch}", contenders,
            memory=True, unmeasured="" if precision == "float32" or has_products
            else "this processor has no bfloat16 products")

    def train_bfloat16(self, case):
        return self.train(case, "bfloat16")

    def prepare(self, count):
        port = web.serve(self.photo_folder("web", len(PHOTOS), side=512))
        table, folder = self.work / "addresses.csv", self.work / "output"
        shards = folder / "shards"
        rows = (f"http://127.0.0.1:{port}/{at}.jpg,photo number {at}\n" for at in range(int(count)))
        table.write_text("url,caption\n" + "".join(rows))
        options = {"fresh": folder, "result": lambda: images_in(shards)}
        contenders = [
            self.command(
                self.name, [self.dvae, "prepare", table, "--output", shards, "--preset", "none",
                            "--max-side", 256, "--per-host", 64, "--host-delay", 0,
                            "--allow-private-addresses", "--threads", self.threads, "--quiet"],
                **options),
            self.script("img2dataset", "img2dataset", ["fetch_images.py", table, shards], **options),
        ]
        return Task(f"prepare {count} addresses", contenders, lambda found: found / int(count),
                    memory=True)


def run(*command):
    """Returns the output of a command; its failure ends the benchmark."""
    words = [str(word) for word in command]
    return subprocess.run(words, check=True, text=True, stdout=subprocess.PIPE).stdout


def reference_model(models, folder):
    """Saves models of Utilities/reference_model.py, which is `r` in the expression.

    In a process that ends: the peak memory of children begins at that of this process.
    """
    run(sys.executable, "-c",
        f"import sys; sys.path.insert(0, {str(ROOT / 'Utilities')!r}); import reference_model as r; "
        f"r.save({models}, {str(folder)!r})")


def images_in(shards):
    """The number of JPEGs in a folder of tars."""
    tars = map(tarfile.open, shards.glob("*.tar"))
    return sum(name.endswith(".jpg") for tar in tars for name in tar.getnames())


def equal(path):
    """A function that gives the share of tokens that equal those in a file."""
    reference = np.load(path).squeeze()
    return lambda tokens: np.mean(tokens == reference)


def alike(path):
    """A function that gives the share of a picture's values that are within 1 of those in a file."""
    reference = np.load(path).astype(int)

    def share(output):
        if output.dtype != np.uint8:
            means = np.moveaxis(output[..., :3, :, :], -3, -1)
            output = (np.clip((1 / (1 + np.exp(-means)) - 0.1) / 0.8, 0, 1) * 255).astype(np.uint8)
        return np.mean(np.abs(output.astype(int) - reference) <= 1)

    return share


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dvae", default=str(ROOT / ".build/release/dvae"), help="our program")
    parser.add_argument("--quick", action="store_true", help="fewer and smaller tasks, 3 rounds")
    parser.add_argument("--tasks", help=f"default: {FULL}")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--n-hid", type=int, default=256)
    parser.add_argument("--vocabulary", type=int, default=8192)
    parser.add_argument("--work", help="keeps weights and converted networks in this folder")
    options = parser.parse_args()
    tasks = options.tasks or (QUICK if options.quick else FULL)
    rounds = options.rounds or (3 if options.quick else 7)
    with tempfile.TemporaryDirectory() as temporary:
        bench = Bench(options.dvae, options.threads, options.n_hid, options.vocabulary,
                      options.work or temporary)
        converters = ", ".join(versioned(name, name) for name in ("onnx", "pnnx", "nncf"))
        print(f"n_hid {options.n_hid}, vocabulary {options.vocabulary}, 256×256, {rounds} rounds in "
              f"turns; networks converted by {converters}; {machine(options.threads)}\n\n{HEADER}",
              flush=True)
        for task in tasks.split(","):
            name, *arguments = task.split(":", 1)
            rows = getattr(bench, name.replace("-", "_"))(*arguments).rows(rounds)
            print("\n".join(rows), flush=True)


if __name__ == "__main__":
    main()
