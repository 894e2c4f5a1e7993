"""Compares `dvae` with OpenAI's own package under PyTorch, at full size, on real photos.

    python Utilities/compare_reference.py PHOTOS [--dvae .build/release/dvae] [--work FOLDER]

Makes encoder.pkl and decoder.pkl with random weights (OpenAI's need not be downloaded), tokenizes
every photo in PHOTOS with PyTorch exactly as the released notebook does, runs `dvae tokenize` on
the same files and photos, and compares the tokens. Then both decode PyTorch's tokens, and the
pictures are compared.

Every token that differs is listed with its margin: the reference's logit of its own token less its
logit of ours, over the standard deviation of the logits. A margin within rounding (1e-4) means that
the two were a tie. Exits with 1 unless at least 99.9 % of the tokens are equal, every difference is
such a tie, and no picture is off by more than 1 of 255.

Random weights are the harder test: trained logits have larger margins. See reference_model.py for
what must be installed. 24 photos take about three minutes on two cores.
"""

import argparse
import os
import subprocess
import sys
import tempfile

import numpy as np
import torch
from PIL import Image

import reference_model as reference

TIE = 1e-4
LEAST_EQUAL = 0.999


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", help="a folder of photos, both sides at least 256")
    parser.add_argument("--dvae", default=".build/release/dvae", help="the program to test")
    parser.add_argument("--work", help="keeps weights, tokens and pictures in this folder")
    parser.add_argument("--n-hid", type=int, default=256)
    parser.add_argument("--vocabulary", type=int, default=8192)
    parser.add_argument("--blocks", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.work:
        os.makedirs(options.work, exist_ok=True)
        return compare(options, options.work)
    with tempfile.TemporaryDirectory() as work:
        return compare(options, work)


@torch.inference_mode()
def compare(options, work):
    photos = reference.photos_in(options.photos)
    if not photos:
        sys.exit(f"{options.photos}: no photos in there")
    encoder, decoder = reference.make_models(
        options.n_hid, options.vocabulary, options.blocks, options.seed, photos[:2])
    weights = os.path.join(work, "weights")
    reference.save(encoder, decoder, weights)
    print(f"weights: n_hid {options.n_hid}, {options.blocks} blocks, vocabulary "
          f"{options.vocabulary}, seed {options.seed}")

    ours_path = os.path.join(work, "ours.npy")
    run([options.dvae, "tokenize", options.photos, "--weights", weights, "--output", ours_path])
    ours = np.load(ours_path).astype(np.int64)
    if len(ours) != len(photos):
        sys.exit(f"{options.photos}: {len(photos)} photos, but dvae tokenized {len(ours)}")

    theirs, unexplained = compare_tokens(encoder, photos, ours)
    equal = np.mean(theirs == ours)
    print(f"tokens: {theirs.size}, distinct {len(np.unique(theirs))}, "
          f"equal {100 * equal:.4f} %, differences beyond a tie {unexplained}")

    theirs_path = os.path.join(work, "theirs.npy")
    np.save(theirs_path, theirs.astype(np.uint16))
    pictures = os.path.join(work, "pictures")
    run([options.dvae, "decode", theirs_path, "--weights", weights, "--output", pictures])
    worst = compare_pictures(decoder, photos, theirs, reference.photos_in(pictures))
    good = equal >= LEAST_EQUAL and unexplained == 0 and worst <= 1
    print("agrees with the reference" if good else "DOES NOT AGREE with the reference")
    return 0 if good else 1


def compare_tokens(encoder, photos, ours):
    """Lists every difference; returns the reference's tokens and how many differ beyond a tie."""
    theirs, unexplained = [], 0
    for photo, mine in zip(photos, ours):
        logits = encoder(reference.preprocess(photo))[0]
        tokens = logits.argmax(0).numpy()
        theirs.append(tokens)
        if mine.shape != tokens.shape:
            sys.exit(f"{photo}: grid {mine.shape}, the reference's is {tokens.shape}")
        deviation = logits.std().item()
        for row, column in np.argwhere(tokens != mine):
            a, b = tokens[row, column], mine[row, column]
            here = logits[:, row, column]
            margin = (here[a] - here[b]).item() / deviation
            unexplained += margin > TIE
            print(f"  {os.path.basename(photo)} row {row} column {column}: "
                  f"{a} in the reference, {b} here, margin {margin:.1e}")
    return np.stack(theirs), unexplained


def compare_pictures(decoder, photos, tokens, pictures):
    """The largest difference of any byte of the decoded pictures."""
    if len(pictures) != len(photos):
        sys.exit(f"{len(photos)} photos, but dvae decoded {len(pictures)}")
    vocabulary = decoder.vocab_size
    worst, differing, total = 0, 0, 0
    for grid, path in zip(tokens, pictures):
        statistics = decoder(reference.one_hot(torch.from_numpy(grid)[None], vocabulary))
        expected = reference.picture(statistics).astype(int)
        difference = np.abs(expected - np.array(Image.open(path).convert("RGB")))
        worst = max(worst, difference.max())
        differing += np.count_nonzero(difference)
        total += difference.size
    print(f"pictures: largest difference {worst} of 255, "
          f"bytes that differ {100 * differing / total:.4f} %")
    return worst


def run(command):
    result = subprocess.run(command + ["--quiet"], stdout=subprocess.DEVNULL)
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit status {result.returncode}")


if __name__ == "__main__":
    sys.exit(main())
