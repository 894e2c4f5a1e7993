"""Proves that exported ONNX files give this program's tokens and pictures in onnxruntime.

Exports both halves, checks the files with onnx.checker, and compares on photos, cut to multiples of 8:
tokens with those of `dvae tokenize --crop none`, except where the two largest logits lie closer
together than `TIE` of the logits' range (float32 sums in another order), and pictures with those of
`dvae decode`, which may differ by 1 of 255. Then it checks that wrong sides and wrong tokens are refused.

    python check_onnx.py PROGRAM WEIGHTS PHOTO...

PROGRAM is a built dvae, WEIGHTS what --weights takes ('random' is full size). Needs numpy, onnx,
onnxruntime and Pillow; run with onnx 1.23 and onnxruntime 1.32.
"""
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from PIL import Image

onnxruntime.set_default_logger_severity(4)  # Refusals are expected below.

# For logits with a standard deviation of about 3; 8192 sums of 2048 products each.
TIE = 1e-5


def dvae(program, *arguments):
    subprocess.run([program, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


def export(program, weights, half, folder, flag):
    path = folder / f"{half}.onnx"
    dvae(program, "export", "--half", half, "--weights", weights, "--output", path, flag)
    onnx.checker.check_model(str(path), full_check=True)
    model = onnx.load(str(path))
    print(half, "checked:", len(model.graph.node), "nodes,", path.stat().st_size, "bytes,",
          {p.key: p.value[:40] for p in model.metadata_props})
    return onnxruntime.InferenceSession(str(path))


def refused(session, inputs, node):
    try:
        session.run(None, inputs)
    except Exception as error:
        assert node in str(error), error
        return
    raise AssertionError(f"not refused: {node}")


def main(program, weights, photos):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        encoder = export(program, weights, "encoder", folder, "--logits")
        decoder = export(program, weights, "decoder", folder, "--statistics")
        differing = ties = total = worst = 0
        for photo in photos:
            dvae(program, "tokenize", photo, "--crop", "none", "--weights", weights, "-q",
                 "--output", folder / "tokens.npy")
            ours = np.load(folder / "tokens.npy")
            pixels = np.asarray(Image.open(photo).convert("RGB"))
            height, width = (side // 8 * 8 for side in pixels.shape[:2])
            top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
            pixels = pixels[top:top + height, left:left + width]
            tokens, logits = encoder.run(["tokens", "logits"], {"pixels": pixels[None]})
            assert tokens.dtype == np.int64 and tokens.shape == (1, height // 8, width // 8)
            assert (tokens == logits.argmax(-1)).all()
            places = np.argwhere(tokens != ours)
            for n, y, x in places:
                gap = abs(logits[n, y, x, tokens[n, y, x]] - logits[n, y, x, ours[n, y, x]])
                ties += gap < TIE * np.ptp(logits)
                differing += gap >= TIE * np.ptp(logits)
            total += tokens.size
            dvae(program, "decode", folder / "tokens.npy", "--weights", weights, "-q", "--output",
                 folder / "pictures")
            picture = np.asarray(Image.open(next((folder / "pictures").rglob("*.png"))))
            theirs, = decoder.run(["pixels"], {"tokens": ours.astype(np.int64).reshape(tokens.shape)})
            assert theirs.dtype == np.uint8 and theirs.shape == (1, height, width, 3)
            worst = max(worst, np.abs(theirs[0].astype(int) - picture).max())
            for path in (folder / "pictures").rglob("*.png"):
                path.unlink()
            (folder / "tokens.npy").unlink()
        print(f"{total} tokens: {differing} differ, {ties} more are ties; "
              f"pictures differ by at most {worst} of 255")
        batch = np.random.default_rng(0).integers(0, 256, (3, 64, 96, 3), np.uint8)
        tokens, = encoder.run(["tokens"], {"pixels": batch})
        for image, each in zip(batch, tokens):
            alone, = encoder.run(["tokens"], {"pixels": image[None]})
            assert (alone[0] == each).all(), "an image's tokens depend on its batch"
        for shape in [(1, 100, 96, 3), (1, 96, 100, 3), (1, 4, 16, 3)]:
            refused(encoder, {"pixels": np.zeros(shape, np.uint8)}, "sides_must_be_multiples_of_8")
        vocabulary = encoder.get_outputs()[1].shape[-1]
        for token in [-1, -vocabulary, vocabulary, 1 << 40]:
            grid = np.full((1, 2, 2), token, np.int64)
            refused(decoder, {"tokens": grid}, "tokens_must_be_in_the_vocabulary")
        print("wrong sides and tokens are refused")
        return differing == 0 and worst <= 1


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    sys.exit(0 if main(sys.argv[1], sys.argv[2], sys.argv[3:]) else 1)
