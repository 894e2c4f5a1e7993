"""Quality for the same training time: `dvae train` beside DALLE-pytorch's DiscreteVAE.

    pip install torch pillow numpy einops && pip install --no-deps dalle-pytorch==1.6.6
    python Benchmarks/train_quality.py --data train/*.tar --minutes 60 --output quality PHOTO...

Ours trains first, for about so many minutes; then the peers for as many seconds as it took, on the
same images with the same number of threads. A second is a second of processor time of every thread:
on an idle machine a second of the clock, and on a busy one still fair. All are judged on the photos by the protocol lanczos-256
of `dvae evaluate`, through hard tokens: PSNR and SSIM of the 8-bit reconstructions, codes in use, and
their entropy. The script stops if its PSNR of ours is not that of `dvae evaluate`. The folder gets
table.md and pictures.png: the original, then every trainer's reconstruction.

The peer is trained in two ways: as its own train_vae.py does it without options, and with what the
class offers that suits short training: a temperature that ends near hard tokens, a learning rate that
decays over the run, random crops, and a width that gets through many of them.
"""

import argparse
import io
import json
import math
import os
import pathlib
import resource
import subprocess
import sys
import tarfile
from unittest.mock import MagicMock

import numpy as np
import torch
from PIL import Image, ImageOps

import photos
from report import machine, versioned

ROOT = pathlib.Path(__file__).resolve().parent.parent

# DiscreteVAE needs none of these; its package imports them for the transformer and for VQGAN.
for name in ("axial_positional_embedding", "rotary_embedding_torch", "omegaconf", "taming", "yaml",
             "taming.models", "taming.models.vqgan", "pkg_resources", "packaging", "tqdm"):
    sys.modules.setdefault(name, MagicMock())


class Peer:
    """DiscreteVAE by the defaults of train_vae.py in the package's repository: 3 layers, as our 8×8."""

    mode = "its defaults"
    side, batch = 128, 8
    sizes = dict(num_layers=3, num_tokens=8192, codebook_dim=512, hidden_dim=256, num_resnet_blocks=2)

    def __init__(self, images, threads):
        from dalle_pytorch import DiscreteVAE

        torch.set_num_threads(threads)
        torch.manual_seed(0)
        self.images, self.random, self.threads = images, np.random.default_rng(0), threads
        self.network = DiscreteVAE(image_size=self.side, **self.sizes)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-3)
        self.temperature, self.updates = 1.0, 0

    def crop(self, image):
        """Resized to the side, the middle of it."""
        return ImageOps.fit(image, (self.side, self.side), Image.BILINEAR)

    def schedule(self, _):
        """Every 100 updates multiplies the temperature, by ever less, and the learning rate, by 0.98."""
        if self.updates % 100 == 0:
            self.temperature = max(self.temperature * math.exp(-1e-6 * self.updates), 0.5)
            self.optimizer.param_groups[0]["lr"] *= 0.98

    def step(self, progress):
        """One update; `progress` is the part of the time that has passed."""
        chosen = self.random.integers(len(self.images), size=self.batch)
        crops = np.stack([np.asarray(self.crop(self.images[at])) for at in chosen])
        x = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255
        loss = self.network(x, return_loss=True, temp=self.temperature)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.schedule(progress)
        self.updates += 1

    def train(self, seconds):
        start = processor_time(resource.RUSAGE_SELF)
        while (passed := (processor_time(resource.RUSAGE_SELF) - start) / self.threads) < seconds:
            self.step(passed / seconds)
        self.network.eval()
        self.seconds = passed

    @torch.no_grad()
    def reconstruct(self, pixels):
        """Bytes [256, 256, 3] to their hard tokens and to the picture of those."""
        x = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
        self.network.image_size = pixels.shape[0]
        tokens = self.network.get_codebook_indices(x)
        picture = (self.network.decode(tokens)[0] * 0.5 + 0.5).clamp(0, 1) * 255
        return tokens.numpy(), picture.round().byte().permute(1, 2, 0).numpy()


class TunedPeer(Peer):
    """DiscreteVAE with the settings that suit the time."""

    mode = "tuned"
    side, batch = 64, 16
    sizes = dict(Peer.sizes, hidden_dim=128, codebook_dim=128)

    def crop(self, image):
        """A random crop, mirrored half of the time."""
        left, top = (self.random.integers(length - self.side + 1) for length in image.size)
        image = image.crop((left, top, left + self.side, top + self.side))
        return ImageOps.mirror(image) if self.random.random() < 0.5 else image

    def schedule(self, progress):
        """Temperature 1 to 1/16 geometrically; a cosine for the learning rate."""
        self.temperature = (1 / 16) ** progress
        self.optimizer.param_groups[0]["lr"] = 1e-3 * (1.01 + math.cos(math.pi * progress)) / 2


class Ours:
    """`dvae train` with a preset: as many updates as take the time by a measured step."""

    def __init__(self, program, data, threads, preset, folder):
        self.program, self.data, self.threads = program, data, threads
        self.preset, self.folder = preset, folder
        self.mode = f"preset {preset}"

    def run(self, *arguments):
        command = [self.program, *map(str, arguments), "--threads", str(self.threads)]
        return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout

    def train(self, seconds):
        settings = json.loads(self.run("train", "--output", self.folder / "run", "--preset", self.preset,
                                       "--data", *self.data, "--print-config"))
        sizes = settings["architecture"]
        step = json.loads(self.run(
            "benchmark", "--what", "train", "--json", "--runs", 3, "--n-hid", sizes["n_hid"],
            "--blocks", sizes["n_blk_per_group"], "--vocabulary", sizes["vocab_size"],
            "--resolution", settings["resolution"], "--batch-size", settings["batch_size"]))
        self.updates = max(round(seconds / step["median_seconds_per_step"]), 1)
        start = processor_time(resource.RUSAGE_CHILDREN)
        self.run("train", "--output", self.folder / "run", "--preset", self.preset, "--data", *self.data,
                 "--updates", self.updates, "--validate-every", self.updates, "--quiet")
        self.seconds = (processor_time(resource.RUSAGE_CHILDREN) - start) / self.threads

    def reconstruct(self, path):
        """A photo's tokens and the picture of those."""
        folder = self.folder / "ours" / path.stem
        folder.mkdir(parents=True)
        weights = ("--weights", self.folder / "run/weights.safetensors", "--quiet")
        self.run("tokenize", path, "--output", folder / "tokens.npy", *weights)
        self.run("decode", folder / "tokens.npy", "--output", folder, *weights)
        return np.load(folder / "tokens.npy"), np.asarray(Image.open(next(folder.glob("*.png"))))

    def evaluate(self, paths):
        """The mean PSNR by `dvae evaluate`."""
        weights = self.folder / "run/weights.safetensors"
        images = json.loads(self.run("evaluate", *paths, "--weights", weights, "--json"))["images"]
        return np.mean([image["model"]["psnr"] for image in images])


def processor_time(who):
    """The processor time of this process, or of its children that have ended, in seconds."""
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def psnr(a, b):
    return 10 * math.log10(255**2 / np.mean((a.astype(float) - b) ** 2))


def ssim(a, b):
    """With a Gaussian window of 11×11, σ 1.5, each channel by itself, where the window fits."""
    a, b = (torch.from_numpy(picture.astype(float)).permute(2, 0, 1)[:, None] for picture in (a, b))
    window = torch.exp(-0.5 * (torch.arange(-5.0, 6.0, dtype=torch.float64) / 1.5) ** 2)
    window = torch.outer(window, window)[None, None] / window.sum() ** 2
    mean = lambda x: torch.nn.functional.conv2d(x, window)
    mean_a, mean_b, c1, c2 = mean(a), mean(b), (0.01 * 255) ** 2, (0.03 * 255) ** 2
    covariance = mean(a * b) - mean_a * mean_b
    variances = mean(a * a) - mean_a**2 + mean(b * b) - mean_b**2
    return (((2 * mean_a * mean_b + c1) * (2 * covariance + c2))
            / ((mean_a**2 + mean_b**2 + c1) * (variances + c2))).mean().item()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="+", type=pathlib.Path, help="judged on, never trained on")
    parser.add_argument("--data", nargs="+", required=True, help="shards of training images")
    parser.add_argument("--output", type=pathlib.Path, required=True, help="a new folder")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--preset", default="starter", help="ours")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--dvae", default=str(ROOT / ".build/release/dvae"), help="our program")
    options = parser.parse_args()
    options.output.mkdir()

    ours = Ours(options.dvae, options.data, options.threads, options.preset, options.output)
    images = list(training_images(options.data))
    trainers = {"swift-dvae " + ours.run("--version").strip(): ours}
    peer = versioned("dalle-pytorch", "DiscreteVAE of dalle-pytorch")
    for kind in (Peer, TunedPeer):
        trainers[f"{peer}, {kind.mode}"] = kind(images, options.threads)
    originals = [photos.pixels(path) for path in options.photos]
    rows, columns = [], [np.concatenate(originals)]
    for name, trainer in trainers.items():
        trainer.train(60 * options.minutes if trainer is ours else ours.seconds)
        inputs = options.photos if trainer is ours else originals
        tokens, pictures = zip(*map(trainer.reconstruct, inputs))
        row, mean_psnr = judge(name, trainer, originals, tokens, pictures)
        rows.append(row)
        columns.append(np.concatenate(pictures))
        if trainer is ours:
            assert abs(mean_psnr - ours.evaluate(options.photos)) < 1e-6, "not our protocol"
    table = [f"{len(images)} training images, {len(originals)} photos; {machine(options.threads)}", "",
             "| trainer | minutes | updates | PSNR dB | SSIM | codes in use | entropy, bits |",
             "| --- | --- | --- | --- | --- | --- | --- |", *rows]
    (options.output / "table.md").write_text("\n".join(table) + "\n")
    Image.fromarray(np.concatenate(columns, axis=1)).save(options.output / "pictures.png")
    print("\n".join(table))


def judge(name, trainer, originals, tokens, pictures):
    """The table's row, and the mean PSNR."""
    counts = np.bincount(np.concatenate([array.ravel() for array in tokens]))
    shares = counts[counts > 0] / counts.sum()
    mean_psnr = np.mean([psnr(a, b) for a, b in zip(originals, pictures)])
    mean_ssim = np.mean([ssim(a, b) for a, b in zip(originals, pictures)])
    return (f"| {name} | {trainer.seconds / 60:.1f} | {trainer.updates} | {mean_psnr:.2f} "
            f"| {mean_ssim:.4f} | {len(shares)} | {-(shares * np.log2(shares)).sum():.2f} |"), mean_psnr


def training_images(shards):
    """The images of WebDataset shards, decoded."""
    for shard in shards:
        with tarfile.open(shard) as tar:
            for member in tar:
                if member.name.endswith((".jpg", ".png", ".webp")):
                    yield Image.open(io.BytesIO(tar.extractfile(member).read())).convert("RGB")


if __name__ == "__main__":
    main()
