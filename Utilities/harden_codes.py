#!/usr/bin/env python3
"""Multiplies the encoder's last layer by 64, and joins halves of two models.

  harden_codes.py MODEL.safetensors OUT.safetensors
  harden_codes.py --join ENCODER.safetensors DECODER.safetensors OUT.safetensors

Larger logits leave the most likely tokens as they are, and the Gumbel noise of training no longer changes
them. A run that starts from such a model with a frozen encoder trains the decoder on the tokens that it
will be given. --join then puts its decoder beside the encoder as it was, in float16.
"""

import json
import struct
import sys
from hashlib import sha256
from pathlib import Path

import numpy

TYPES = {"F16": numpy.float16, "F32": numpy.float32}


def read(path):
    data = Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        start, end = (8 + length + offset for offset in entry["data_offsets"])
        tensors[name] = numpy.frombuffer(data[start:end], TYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors, metadata


def write(path, tensors, metadata):
    header, parts, end = {"__metadata__": metadata} if metadata else {}, [], 0
    for name in sorted(tensors):
        values = numpy.ascontiguousarray(tensors[name])
        start, end = end, end + values.nbytes
        kind = next(kind for kind, type_ in TYPES.items() if values.dtype == type_)
        header[name] = {"dtype": kind, "shape": list(values.shape), "data_offsets": [start, end]}
        parts.append(values.tobytes())
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    Path(path).write_bytes(struct.pack("<Q", len(text)) + text + b"".join(parts))


def main(arguments):
    if len(arguments) == 4 and arguments[0] == "--join":
        encoder, metadata = read(arguments[1])
        decoder, run = read(arguments[2])
        tensors = {name: values for name, values in encoder.items() if name.startswith("encoder.")}
        tensors |= {
            name: values.astype(numpy.float16) for name, values in decoder.items() if name.startswith("decoder.")
        }
        metadata["decoder.source_sha256"] = sha256(Path(arguments[2]).read_bytes()).hexdigest()
        training = json.loads(run["training"])
        for key in ("data", "validation"):
            training["configuration"][key] = [Path(path).name for path in training["configuration"][key]]
        metadata["decoder.training"] = json.dumps(training, sort_keys=True, separators=(",", ":"))
        write(arguments[3], tensors, metadata)
    elif len(arguments) == 2:
        tensors, _ = read(arguments[0])
        for name in tensors:
            factor = 64 if name.startswith("encoder.blocks.output.") else 1
            tensors[name] = factor * tensors[name].astype(numpy.float32)
        write(arguments[1], tensors, {})
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
