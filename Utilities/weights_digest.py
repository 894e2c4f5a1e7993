"""Prints one CRC-32 per weights file: the numbers that WeightsFileTests expects.

    python3 Utilities/weights_digest.py Tests/Fixtures/tiny/*.pkl

Needs only NumPy. It reads the containers of torch.save with Python's own zipfile and pickle, so it
shares nothing with the Swift reader. Run it on trusted files only. The digest covers, for every
tensor in the order of the names: the name, a line feed, the shape as "4,16,3,3", a line feed, and
the values as little-endian float32 in row-major order.
"""
import collections
import pickle
import struct
import sys
import zipfile
import zlib

import numpy as np

DTYPES = {"FloatStorage": "<f4", "HalfStorage": "<f2", "DoubleStorage": "<f8"}


class Inert(dict):
    """Stands for any class of the pickle."""

    def __init__(self, *args):
        super().__init__()

    def __setstate__(self, state):
        self.update(state)


def rebuild(storage, offset, size, stride, *_):
    return storage, offset, size, stride


class Reader(pickle.Unpickler):
    """Makes inert objects, and a storage's (type, key) in place of its bytes."""

    def __init__(self, file):
        super().__init__(file)
        self.types = {}

    def find_class(self, module, name):
        if name in DTYPES:
            return DTYPES[name]
        if name.startswith("_rebuild_tensor"):
            return rebuild
        if name == "_rebuild_parameter":
            return lambda tensor, *_: tensor
        if name == "OrderedDict":
            return type("Dictionary", (collections.OrderedDict,), {"__setstate__": lambda *_: None})
        return set if name == "set" else type(name, (Inert,), {})

    def persistent_load(self, identifier):
        if identifier[0] == "module":
            return identifier[1]
        self.types[identifier[2]] = identifier[1]
        return identifier[1], identifier[2]


def load(path):
    """The root object and a function from a storage's key to its bytes."""
    if zipfile.is_zipfile(path):
        archive = zipfile.ZipFile(path)
        name = next(n for n in archive.namelist() if n.endswith("/data.pkl"))
        prefix = name[: -len("data.pkl")]
        return Reader(archive.open(name)).load(), lambda key: archive.read(f"{prefix}data/{key}")
    file = open(path, "rb")
    for _ in range(3):
        pickle.load(file)
    reader = Reader(file)
    root = reader.load()
    storages = {}
    for key in pickle.load(file):
        count = struct.unpack("<q", file.read(8))[0]
        storages[key] = file.read(count * np.dtype(reader.types[key]).itemsize)
    return root, storages.get


def tensors(node, path=""):
    if isinstance(node, tuple):
        yield path, node
    elif "_modules" in node:
        for part in ("_parameters", "_buffers", "_modules"):
            yield from tensors(node[part], path)
    else:
        for key, value in node.items():
            yield from tensors(value, f"{path}.{key}" if path else key)


for path in sys.argv[1:]:
    root, read = load(path)
    digest = 0
    for name, ((dtype, key), offset, shape, strides) in sorted(tensors(root)):
        flat = np.frombuffer(read(key), dtype)[offset:]
        view = np.lib.stride_tricks.as_strided(flat, shape, [s * flat.itemsize for s in strides])
        text = f"{name}\n{','.join(map(str, shape))}\n".encode()
        digest = zlib.crc32(text + view.astype("<f4").tobytes(), digest)
    print(f"{path}: 0x{digest:08x}")
