#!/usr/bin/env python3
"""Grows a trained model without changing its pictures much: more codes in use, and more channels.

  grow_model.py MODEL.safetensors --photos train-*.tar --n-hid 80 --output NEW.safetensors

Codes: a trained model leaves thousands of its codes unused. As in vector quantisation by splitting (Linde,
Buzo and Gray, 1980), each unused code takes over half of the positions of the code that is used most. The
halves are separated at the median along the first principal component of the last layer's inputs at the
code's positions; the decoder's vectors of the two differ by what a linear regression from those inputs'
means to the decoder's vectors predicts.

Channels: the new inputs of old channels have weight zero, so that nothing changes; all other new weights
are random, normal(0, 1/√fan-in), as in training.

Certainty: the encoder's last layer is multiplied, which keeps the most likely tokens and makes the noise of
training small beside the difference of two codes.

Needs numpy, onnx, onnxruntime and Pillow, and the program: --dvae PATH, else 'dvae'.
"""

import argparse
import heapq
import io
import re
import subprocess
import tarfile
import tempfile
from pathlib import Path

import numpy
import onnx
import onnxruntime
from harden_codes import read, write
from PIL import Image

SIDE = 256


def photos(paths, count, seed):
    """The middles of some photos of tars, uint8 [1, 256, 256, 3]."""
    members = []
    for path in sorted(paths):
        with tarfile.open(path) as tar:
            members += [(path, m.name) for m in tar if re.search(r"\.(jpe?g|png|webp)$", m.name, re.I)]
    chosen = numpy.random.default_rng(seed).choice(len(members), min(count, len(members)), replace=False)
    for path, name in sorted(members[i] for i in chosen):
        with tarfile.open(path) as tar:
            image = Image.open(io.BytesIO(tar.extractfile(name).read())).convert("RGB")
        left, top = ((size - SIDE) // 2 for size in image.size)
        yield numpy.asarray(image.crop((left, top, left + SIDE, top + SIDE)))[None]


def features(dvae, weights, images):
    """The inputs of the encoder's last layer, [positions, channels], and the tokens there."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/encoder.onnx"
        subprocess.run([dvae, "export", "--half", "encoder", "--weights", weights, "--output", path], check=True)
        model = onnx.load(path)
    last = next(node for node in model.graph.node if "encoder.blocks.output.conv.w" in node.input)
    model.graph.output.append(onnx.helper.make_tensor_value_info(last.input[0], onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found, tokens = [], []
    for image in images:
        token, feature = session.run(["tokens", last.input[0]], {"pixels": image})
        found.append(feature[0].reshape(feature.shape[1], -1).T)
        tokens.append(token.reshape(-1))
    return numpy.concatenate(found), numpy.concatenate(tokens)


def first_component(values, seed):
    """The direction in which centred values vary most, by power iteration."""
    direction = numpy.random.default_rng(seed).standard_normal(values.shape[1]).astype(numpy.float32)
    for _ in range(12):
        direction = values.T @ (values @ direction)
        direction /= numpy.linalg.norm(direction) + 1e-20
    return direction


def regression(means, vectors, counts):
    """The matrix of a ridge regression, each code weighted by its positions."""
    weight = numpy.sqrt(counts)[:, None]
    x = (means - numpy.average(means, 0, counts)) * weight
    y = (vectors - numpy.average(vectors, 0, counts)) * weight
    gram = x.T @ x
    return numpy.linalg.solve(gram + numpy.trace(gram) / len(gram) * numpy.eye(len(gram)), x.T @ y)


def split(tensors, features, tokens, splits, separation, least=40):
    """Gives unused codes half of the positions of those that are used most; returns how many."""
    weights = tensors["encoder.blocks.output.conv.w"]
    weights = weights.reshape(weights.shape[:2])  # [codes, channels], the same memory
    bias = tensors["encoder.blocks.output.conv.b"]
    vectors = tensors["decoder.blocks.input.w"].reshape(-1, len(weights))  # [n_init, codes]
    counts = numpy.bincount(tokens, minlength=len(weights))
    order = numpy.argsort(tokens, kind="stable")
    bounds = numpy.searchsorted(tokens[order], numpy.arange(len(weights) + 1))
    positions = {code: order[bounds[code] : bounds[code + 1]] for code in numpy.flatnonzero(counts)}
    frequent = numpy.flatnonzero(counts >= 20)
    means = numpy.stack([features[positions[code]].mean(0) for code in frequent])
    matrix = regression(means, vectors[:, frequent].T, counts[frequent])
    queue = [(-len(where), code) for code, where in positions.items()]
    heapq.heapify(queue)
    unused = numpy.flatnonzero(counts == 0)[:splits]
    for done, new in enumerate(unused):
        count, code = heapq.heappop(queue)
        if -count < least:
            return done
        where = positions[code]
        mean = features[where].mean(0)
        direction = first_component(features[where] - mean, done)
        along = (features[where] - mean) @ direction
        deviation = along.std()
        if deviation == 0:
            return done
        slope = separation / deviation * direction
        middle = slope @ mean + separation / deviation * numpy.median(along)
        weights[new], bias[new] = weights[code] - slope, bias[code] + middle
        weights[code], bias[code] = weights[code] + slope, bias[code] - middle
        above, below = where[along > numpy.median(along)], where[along <= numpy.median(along)]
        vectors[:, new] = vectors[:, code] + (features[below].mean(0) - mean) @ matrix
        vectors[:, code] += (features[above].mean(0) - mean) @ matrix
        for half, at in ((above, code), (below, new)):
            positions[at] = half
            heapq.heappush(queue, (-len(half), at))
    return len(unused)


def widen(tensors, n_hid, seed):
    """Adds channels; those that depend on n_hid are all that grow."""
    old = tensors["encoder.blocks.input.w"].shape[0]
    fixed = {name: {0} for name in ("encoder.blocks.output.conv", "decoder.blocks.output.conv")}
    fixed |= {"encoder.blocks.input": {1}, "decoder.blocks.input": {0, 1}}
    fixed |= {f"decoder.blocks.group_1.block_1.{part}": {1} for part in ("id_path", "res_path.conv_1")}
    random = numpy.random.default_rng(seed)
    for name, values in tensors.items():
        layer = name[: name.rindex(".")]
        size = [
            count if axis > 1 or axis in fixed.get(layer, ()) else count * n_hid // old
            for axis, count in enumerate(values.shape)
        ]
        grown = numpy.zeros(size, numpy.float32)
        if name.endswith(".w"):
            rows = grown[values.shape[0] :]
            rows[...] = random.standard_normal(rows.shape) / numpy.sqrt(numpy.prod(size[1:]))
        grown[tuple(slice(0, count) for count in values.shape)] = values
        tensors[name] = grown


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--photos", nargs="+", required=True, help="tars of photos of at least 256×256 pixels")
    parser.add_argument("--count", type=int, default=420, help="photos to use")
    parser.add_argument("--splits", type=int, default=3000, help="codes to split at most")
    parser.add_argument("--separation", type=float, default=0.03, help="of two halves' logits, per deviation")
    parser.add_argument("--n-hid", type=int, help="the new width; default: as it is")
    parser.add_argument("--factor", type=float, default=32, help="of the encoder's last layer")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dvae", default="dvae")
    parser.add_argument("--output", required=True)
    options = parser.parse_args()
    tensors, _ = read(options.model)
    tensors = {name: values.astype(numpy.float32) for name, values in tensors.items()}
    chosen = list(photos(options.photos, options.count, options.seed))
    inputs, tokens = features(options.dvae, options.model, chosen)
    done = split(tensors, inputs, tokens, options.splits, options.separation)
    if options.n_hid:
        widen(tensors, options.n_hid, options.seed)
    for end in "wb":
        tensors[f"encoder.blocks.output.conv.{end}"] *= options.factor
    write(options.output, tensors, {})
    used = len(numpy.unique(tokens))
    print(f"{Path(options.output).name}: {used} codes in use in {len(chosen)} photos, {done} of them split")


main()
