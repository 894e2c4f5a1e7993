#!/usr/bin/env python3
"""Compares `dvae prepare` with Pillow, tarfile, csv and json over a generated set of files.

    Utilities/compare_readers.py .build/release/dvae [SEED [COUNT]]

Rows: COUNT tables of random cells as CSV, TSV, JSON Lines and a JSON list; the captions that come out
must be those that Python reads. Archives: COUNT archives in every format, with links, holes and several
images in a sample, also joined; every image that Python finds must come out; and COUNT archives with headers
as few programs write them, whose images must have the names and contents that Python finds. Images: COUNT pictures with
random notes and cuts; what Pillow reads must come out, turned as Pillow turns it, what it refuses must
not. Two known kinds are counted apart: images that Pillow fills up without a word, which are refused here, and JPEGs
whose pixels are all there, which Pillow refuses for their end. Needs Pillow; prints one line per kind and exits with 1
where anything else differs.
"""

import csv
import io
import json
import os
import pathlib
import random
import struct
import subprocess
import sys
import tarfile
import tempfile
import warnings
import zlib

if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
    print(__doc__)
    sys.exit(0 if sys.argv[1:2] in (["-h"], ["--help"]) else 64)
try:
    from PIL import Image, ImageFile, ImageOps, PngImagePlugin
except ImportError:
    sys.exit("compare_readers.py needs Pillow: python3 -m pip install pillow")

DVAE = sys.argv[1]
try:
    SEED, COUNT = (int(text) for text in (sys.argv[2:4] + ["1", "40"][len(sys.argv[2:4]):]))
except ValueError:
    sys.exit("compare_readers.py: SEED and COUNT are whole numbers")
randomness = random.Random(SEED)
failures = 0
warnings.simplefilter("ignore")


def prepare(source, folder, *options):
    """The samples that `dvae prepare` makes of a source: a list of {extension: bytes}."""
    out = pathlib.Path(folder) / f"out-{randomness.getrandbits(60):x}"
    run = subprocess.run(
        [DVAE, "prepare", str(source), "--output", str(out), "--preset", "none", "--quiet", *options],
        capture_output=True)
    samples = {}
    for shard in sorted(out.glob("*.tar")):
        for member in tarfile.open(shard):
            key, kind = member.name.split(".", 1)
            samples.setdefault(key, {})[kind] = tarfile.open(shard).extractfile(member.name).read()
    return [samples[key] for key in sorted(samples)], run.stderr.decode(errors="replace")


def tell(kind, good, bad):
    global failures
    failures += len(bad)
    print(f"{kind}: {good} agree, {len(bad)} differ")
    for line in bad[:5]:
        print("  " + line[:300])


def collapsed(text):
    return " ".join("".join(" " if c.isspace() or ord(c) < 32 or 127 <= ord(c) < 160 else c for c in text).split())


def cell():
    alphabet = ['a', 'b c', 'é', '"', '""', "'", ',', '\t', '\n', '12" pizza', '\\', '{', ']', ':', '😀', '\u2028']
    return "".join(randomness.choice(alphabet) for _ in range(randomness.randrange(1, 8)))


def tables():
    good, bad = 0, []
    for number in range(COUNT):
        with tempfile.TemporaryDirectory() as folder:
            picture = Image.new("RGB", (9, 9), (number % 256, 9, 9))
            picture.save(f"{folder}/a.png")
            rows = [["a.png", cell()] for _ in range(randomness.randrange(1, 30))]
            for name in ("t.csv", "t.tsv", "t.jsonl", "t.json"):
                path = pathlib.Path(folder, name)
                if name.endswith("sv"):
                    text = io.StringIO()
                    dialect = {"delimiter": "," if name == "t.csv" else "\t"}
                    csv.writer(text, quoting=randomness.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]), **dialect
                               ).writerows([["url", "caption"]] + rows)
                    data = text.getvalue()
                    read = list(csv.reader(io.StringIO(data, newline=""), **dialect))[1:]
                    expected = [row[1] for row in read if len(row) == 2]
                else:
                    items = [dict(url=u, caption=c, n=randomness.choice([1, float("nan"), 10**30, -0.5]))
                             for u, c in rows]
                    ascii_only = randomness.random() < 0.5
                    data = json.dumps(items, ensure_ascii=ascii_only, indent=1) if name == "t.json" else "".join(
                        json.dumps(item, ensure_ascii=ascii_only) + "\n" for item in items)
                    expected = [c for _, c in rows]
                path.write_text(data, newline="")
                samples, errors = prepare(path, folder)
                found = [sample.get("txt", b"").decode() for sample in samples]
                want = [collapsed(c) for c in expected]
                if found == want:
                    good += len(want)
                else:
                    bad.append(f"{name} of table {number}: {len(found)} of {len(want)} captions, {errors[:200]}")
    tell("captions of tables", good, bad)


def archives():
    good, bad = 0, []
    for number in range(COUNT):
        with tempfile.TemporaryDirectory() as folder:
            place = pathlib.Path(folder, "in")
            place.mkdir()
            names = []
            for index in range(randomness.randrange(1, 8)):
                stem = randomness.choice(["s{0}", "d/s{0}", "p.v2.{0:04}", "2024.05.{0:02}", "s{0}.left"]).format(index)
                path = place / (stem + ".png")
                path.parent.mkdir(exist_ok=True)
                Image.new("RGB", (9, 9), (number % 256, index, randomness.randrange(256))).save(path)
                with open(path, "ab") as file:
                    if randomness.random() < 0.3:
                        file.truncate(1 << 17)  # a hole behind the picture
                names.append(str(path.relative_to(place)))
            if randomness.random() < 0.5:
                os.link(place / names[0], place / "zlink.png")
                names.append("zlink.png")
            if randomness.random() < 0.5:
                os.symlink(names[0], place / "zsoft.png")
                names.append("zsoft.png")
            options = randomness.choice([["--format=ustar"], ["--format=gnu", "-S"], ["--format=v7"],
                                         ["--format=pax", "-S", "--sparse-version=0.0"],
                                         ["--format=pax", "-S", "--sparse-version=0.1"],
                                         ["--format=pax", "-S", "--sparse-version=1.0"]])
            parts = [names] if randomness.random() < 0.6 or len(names) < 2 else [names[:1], names[1:]]
            whole = b""
            for part in parts:
                subprocess.run(["tar", "-cf", f"{folder}/part.tar", *options, "-C", place, *part], check=True)
                whole += pathlib.Path(folder, "part.tar").read_bytes()
            path = pathlib.Path(folder, "a.tar")
            path.write_bytes(whole)
            expected = []
            with tarfile.open(path, ignore_zeros=True) as archive:
                for member in archive:
                    if member.isreg() or member.islnk() or member.issym():
                        try:
                            expected.append(archive.extractfile(member).read())
                        except KeyError:
                            pass
            samples, errors = prepare(path, folder)
            if len(samples) == len(expected):
                good += len(expected)
            else:
                bad.append(f"archive {number} ({options}): {len(samples)} of {len(expected)} images {errors[:200]}")
    tell("images of archives", good, bad)


def header(name, size, kind=tarfile.REGTYPE, link="", patches=()):
    """A header with other bytes at some places, and the right checksum."""
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = size, kind, link
    block = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    for place, data in patches:
        block[place:place + len(data)] = data
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(data):
    return data + bytes(-len(data) % 512)


def pax(kind, record):
    length = next(n for n in range(99) if n == len(f"{n} {record}\n"))
    return header("pax", length, kind.encode()) + padded(f"{length} {record}\n".encode())


def odd_member(number, names, data):
    """The blocks of an image or of another member, with one oddity or none."""
    name = randomness.choice(["{}.png", "d/{}.png", "{}.a.png"]).format(number)
    oddity = randomness.choice(["", "g", "x", "blanks", "v7", "folder", "link", "old folder", "slash"])
    size = len(data)
    if oddity in ("g", "x"):
        # The contents are longer than a picture that ends at this size.
        record = randomness.choice([f"size={size - randomness.randrange(8)}", f"path=p/{number}.png", "comment=a"])
        return pax(oddity, record) + header(name, size) + padded(data)
    if oddity == "blanks":
        form = randomness.choice([b"%11o ", b"\t%10o\0", b"%o\0\0\0\0", b"  %o  \0 "])
        return header(name, size, patches=[(124, (form % size).ljust(12, b" " if form[-1:] == b" " else b"\0"))]) + padded(data)
    if oddity == "v7":
        # Python takes what stands in the place of the prefix; this header has none.
        patches = [(257, bytes(8)), (345, randomness.choice([b"", b"\x01junk"]))]
        return header(name, size, patches=patches) + padded(data)
    if oddity == "old folder":
        return header(f"{number}.png/", 0, tarfile.AREGTYPE)
    if oddity == "slash":
        return pax("x", f"path=q/{number}.png/") + header(name, size) + padded(data)
    if oddity == "folder" or oddity == "link" and not names:
        kind = randomness.choice([tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
        return header(f"f{number}", 700, kind) + randomness.choice([b"", b"\7" * 1024, bytes(512) + b"\7" * 512])
    if oddity == "link":
        kind = randomness.choice([tarfile.LNKTYPE, tarfile.SYMTYPE])
        return header(f"l{number}.png", size, kind, names[-1]) + randomness.choice([b"", padded(data)])
    names.append(name)
    return header(name, size) + padded(data)


def odd_archives():
    good, bad = 0, []
    for number in range(COUNT):
        with tempfile.TemporaryDirectory() as folder:
            whole, names = b"", []
            for index in range(randomness.randrange(1, 9)):
                data = io.BytesIO()
                Image.new("RGB", (9, 9), (number % 256, index, randomness.randrange(256))).save(data, "PNG")
                # All of two blocks: a size that ends in another block would lead past a header.
                data = data.getvalue().ljust(600 + randomness.randrange(8), b"\7")
                whole += odd_member(index, names, data)
            path = pathlib.Path(folder, "a.tar")
            path.write_bytes(whole + bytes(randomness.choice([1024, 10240])))
            expected = []
            with tarfile.open(path, ignore_zeros=True) as archive:
                for member in archive:
                    if (member.isreg() or member.islnk() or member.issym()) and member.name.endswith(".png"):
                        name = member.name.split("junk/")[-1]
                        try:
                            expected.append((name.split(".")[0], archive.extractfile(member).read()))
                        except KeyError:
                            pass
            samples, errors = prepare(path, folder)
            found = []
            for sample in samples:
                source = json.loads(sample["json"])["source"]
                found.append((source.split(": ")[1].split(".")[0], sample["png"]))
            if sorted(found) == sorted(expected):
                good += len(expected)
            else:
                bad.append(f"archive {number}: {[f[0] for f in found]}, Python {[e[0] for e in expected]} {errors[:200]}")
    tell("images of odd archives", good, bad)


def exif_block():
    """A block of Exif with an orientation of any type, well made or not."""
    order = randomness.choice("<>")
    magic = randomness.choice([b"*\0", b"\0*"] * 3 + ([b"\0+"] if order == ">" else []))
    kind = randomness.choice([3] * 8 + list(range(1, 14)) + [16, 17])
    count = randomness.choice([1] * 8 + [0, 2, 3])
    number = randomness.randrange(0, 10)
    value = {
        1: lambda: bytes([number]), 2: lambda: bytes([number]), 7: lambda: bytes([number]),
        3: lambda: struct.pack(order + "H", number), 8: lambda: struct.pack(order + "h", number),
        5: lambda: struct.pack(order + "II", number * 2, randomness.choice([2, 2, 1, 0])),
        10: lambda: struct.pack(order + "ii", -number, randomness.choice([-1, 1, 0])),
        6: lambda: struct.pack("b", number), 11: lambda: struct.pack(order + "f", number),
        12: lambda: struct.pack(order + "d", number), 16: lambda: struct.pack(order + "Q", number),
    }.get(kind, lambda: struct.pack(order + "I", number))() * count
    others = [(0x010E, 2, 30, struct.pack(order + "I", randomness.choice([0, 8, 1000])))] * randomness.randrange(2)
    start = 8 + 2 + 12 * (1 + len(others)) + 4
    behind = value if len(value) > 4 else b""
    field = struct.pack(order + "I", start) if behind else value.ljust(4, b"\0")
    entries = others + [(0x0112, kind, count, field)]
    block = (b"II" if order == "<" else b"MM") + magic + struct.pack(order + "IH", 8, len(entries))
    for tag, type_, number_, data in entries:
        block += struct.pack(order + "HHI", tag, type_, number_) + data
    block += struct.pack(order + "I", 0) + behind
    if randomness.random() < 0.2:
        block = block[:randomness.randrange(8, len(block))]
    return b"Exif\0\0" * randomness.randrange(2) + block


def segments():
    """Further Exif and XMP segments of a JPEG; a block may be split."""
    parts = []
    if randomness.random() < 0.3:
        block = exif_block()
        place = randomness.randrange(len(block) + 1)
        parts += [b"Exif\0\0" + block[:place], b"Exif\0\0" + block[place:]]
    if randomness.random() < 0.3:
        number = randomness.randrange(0, 10)
        parts.append(b"http://ns.adobe.com/xap/1.0/\0" + randomness.choice(
            [f'tiff:Orientation="{number}"', f"<tiff:Orientation>{number}<"]).encode())
    return b"".join(b"\xff\xe1" + struct.pack(">H", len(part) + 2) + part for part in parts)


def size_when_lenient(data):
    """The size of an image as Pillow reads it where it is told to fill up what is missing; None if it cannot."""
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        return ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB").size
    except Exception:
        return None
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False


def images():
    good, bad, stricter, lenient = 0, [], 0, 0
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder, "in")
        place.mkdir()
        expected = {}
        for number in range(COUNT * 10):
            width, height = randomness.randrange(1, 40), randomness.randrange(1, 40)
            picture = Image.frombytes("RGB", (width, height), randomness.randbytes(width * height * 3))
            kind = randomness.choice(["png", "jpg", "webp"])
            block = exif_block()
            options = {}
            if randomness.random() < 0.5:
                options["exif"] = block
            if kind == "png" and randomness.random() < 0.5:
                info = PngImagePlugin.PngInfo()
                info.add_text("Raw profile type exif", f"\nexif\n{len(block):8d}\n{block.hex()}\n",
                              zip=randomness.random() < 0.5)
                options = {"pnginfo": info}
            data = io.BytesIO()
            if kind == "jpg":
                picture.save(data, "JPEG", progressive=randomness.random() < 0.3, **options)
            elif kind == "png":
                picture.save(data, "PNG", **options)
            else:
                picture.save(data, "WEBP", lossless=True, **options)
            data = data.getvalue()
            if kind == "jpg":
                data = data[:2] + segments() + data[2:]
            if randomness.random() < 0.4:
                data = data[:max(1, len(data) - randomness.randrange(1, 30))]
            name = f"{number:05}.{kind}"
            (place / name).write_bytes(data)
            try:
                Image.open(io.BytesIO(data)).convert("RGB")
            except Exception:
                expected[name] = None
                continue
            try:
                expected[name] = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
            except Exception:
                # Pillow fails at the notes of an image that it reads.
                pass
        samples, errors = prepare(place, folder)
        found = {}
        for sample in samples:
            source = json.loads(sample["json"])["source"]
            data = next(value for key, value in sample.items() if key in ("jpg", "png", "webp"))
            found[pathlib.Path(source).name] = (json.loads(sample["json"])["size"], data)
        for name, picture in expected.items():
            ours = found.get(name)
            if picture is None and ours is None:
                good += 1
            elif picture is None and name.endswith(".jpg") and size_when_lenient(
                    (place / name).read_bytes()) == tuple(ours[0]):
                # All pixels are there, but not the end behind them.
                lenient += 1
            elif picture is None:
                bad.append(f"{name}: read, but Pillow refuses it")
            elif ours is None:
                # Truncated data, which Pillow silently fills, is an error here.
                stricter += 1
            elif tuple(ours[0]) != picture.size:
                bad.append(f"{name}: {ours[0]}, Pillow {picture.size}")
            else:
                good += 1
    tell(f"images ({stricter} that Pillow fills up are refused; {lenient} JPEGs that it refuses are read)", good, bad)


tables()
archives()
odd_archives()
images()
sys.exit(1 if failures else 0)
