"""Compares a device's tokens and pictures with the CPU engine's on photos in their own size.

    python compare_device.py PROGRAM DEVICE WEIGHTS PHOTO...

PROGRAM is a built dvae, DEVICE what --device takes, WEIGHTS what --weights takes ('random' is full size).
The photos are cut to multiples of 8. Tokens, also the 8 most likely ones of each position, must be equal
except where two logits lie closer together than `TIE` of the largest log-probability's size (float32 sums in
another order), and the pictures of the CPU's tokens may differ by 1 of 255. Needs numpy, Pillow and safetensors.
"""
import argparse
import pathlib
import subprocess
import tempfile

import numpy as np
from PIL import Image
from safetensors.numpy import load_file

TIE = 1e-4
RANKS = 8


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("device")
    parser.add_argument("weights")
    parser.add_argument("photos", nargs="+")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        for device in ("cpu", options.device):
            common = ["--weights", options.weights, "--device", device, "--quiet"]
            run(options.program, "tokenize", *options.photos, "--crop", "none", "--batch-size", "1", "--top-k",
                str(RANKS), "--margin", "--output", folder / f"{device}.safetensors", *common)
            run(options.program, "decode", folder / "cpu.safetensors", "--output", folder / device, *common)
        compare_tokens(*(load_file(folder / f"{device}.safetensors") for device in ("cpu", options.device)))
        compare_pictures(folder / "cpu", folder / options.device)


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def compare_tokens(expected, found):
    keys = [key[:-len(".margin")] for key in expected if key.endswith(".margin")]
    values = lambda file, suffix: np.concatenate([file[key + suffix].reshape(-1, RANKS if "p" in suffix else 1)
                                                  for key in keys])
    tokens, others = values(expected, ""), values(found, "")
    likelihoods = values(expected, ".logprobs")
    tie = -TIE * likelihoods.min()
    margins, differing = values(expected, ".margin"), tokens != others
    print(f"{len(keys)} photos: {differing.sum()} of {tokens.size} tokens differ; largest margin among them "
          f"{margins[differing].max(initial=0):.1e}, smallest of all {margins.min():.1e}")
    assert not (differing & (margins > tie)).any(), "tokens differ where the margin is large"
    assert (values(expected, ".topk")[:, :1] == tokens).all()

    ranked = values(expected, ".topk")
    steps = -np.diff(likelihoods, axis=1)
    # A rank's distance from its neighbours; nothing is known of the rank after the last.
    distance = np.minimum(np.pad(steps, ((0, 0), (1, 0)), constant_values=np.inf),
                          np.pad(steps, ((0, 0), (0, 1)), constant_values=0))
    differing = ranked != values(found, ".topk")
    print(f"{differing.sum()} of {ranked.size} ranked tokens differ; largest differences "
          f"{np.abs(likelihoods - values(found, '.logprobs')).max():.1e} of log-probabilities and "
          f"{np.abs(margins - values(found, '.margin')).max():.1e} of margins")
    assert not (differing & (distance > tie)).any(), "ranked tokens differ that are not ties"


def compare_pictures(expected, found):
    differing = total = worst = 0
    for path in sorted(expected.glob("*.png")):
        pictures = [np.asarray(Image.open(folder / path.name), np.int16) for folder in (expected, found)]
        difference = np.abs(pictures[0] - pictures[1])
        worst = max(worst, difference.max())
        differing, total = differing + (difference > 0).sum(), total + difference.size
    print(f"{differing} of {total} values of pictures differ, by {worst} at most")
    assert total and worst <= 1, "pictures differ by more than 1"


if __name__ == "__main__":
    main()
