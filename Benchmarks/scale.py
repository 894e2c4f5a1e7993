"""The processor time of a pair in `dvae`: to fetch and filter, to merge, to tokenize.

  swift build -c release
  python3 Benchmarks/scale.py [--photos Examples/photos] [--pairs 2000] [--images 100000] [--tokens 64]

Needs Python alone. Everything is measured in seconds of a processor core, of the process and the system's
work for it, so that a loaded machine changes little. A table of addresses on loopback is fetched, filtered
and made into shards of pictures with sides of 256; a table of as many rows as images is counted and read
past; that many pictures of noise, all different, are prepared in two parts and merged, which gives the
memory that an image takes; photos are tokenized. docs/scale.md calculates with the results.
"""

import argparse
import json
import os
import pathlib
import random
import struct
import subprocess
import tarfile
import tempfile
import io
import zlib

from web import serve

ROOT = pathlib.Path(__file__).resolve().parent.parent


def run(program, *arguments):
    """Runs `dvae`; its report, the processor seconds it took, and its peak of memory in bytes."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen([program, *map(str, arguments), "--quiet", "--json"], stdout=output)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"dvae {arguments[0]}: exit status {process.returncode}")
        output.seek(0)
        return json.load(output), usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def png(generator):
    """A picture of 32×32 coloured cells of noise."""
    rows = b"".join(b"\0" + generator.randbytes(96) for _ in range(32))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 32, 32, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows, 0)) + chunk(b"IEND", b""))


def fetch(program, photos, folder, pairs):
    shards = folder / "photos"
    run(program, "prepare", photos, "--output", shards, "--preset", "none", "--encoding", "jpeg")
    pictures = folder / "pictures"
    pictures.mkdir()
    with tarfile.open(shards / "shard-000000.tar") as archive:
        for member in archive:
            if member.name.endswith(".jpg"):
                (pictures / member.name).write_bytes(archive.extractfile(member).read())
    size = sum(path.stat().st_size for path in pictures.iterdir()) / len(list(pictures.iterdir()))
    port = serve(pictures)
    table = folder / "web.tsv"
    table.write_text("".join(
        f"a photo of something in the open air, number {row}\thttp://127.0.0.1:{port}/{row}\n"
        for row in range(pairs)))
    report, seconds, _ = run(
        program, "prepare", table, "--output", folder / "fetched", "--preset", "dalle",
        "--exact-duplicates", "off", "--near-duplicates", "off", "--max-side", "256",
        "--allow-private-addresses", "--host-delay", "0", "--per-host", "64")
    assert report["samples"] == pairs, report
    written = sum(path.stat().st_size for path in (folder / "fetched").iterdir()) / pairs
    print(f"fetch, filter, resize: {1000 * seconds / pairs:.2f} ms a pair "
          f"({size / 1000:.0f} kB fetched, {written / 1000:.1f} kB written)")
    return folder / "fetched"


def count(program, folder, rows):
    table = folder / "rows.tsv"
    table.write_text("".join(
        f"a photo of something in the open air, number {row}\thttp://host/{row}.jpg\n"
        for row in range(rows)))
    # The last of so many parts is empty or one row: the table is counted, then read past.
    _, seconds, _ = run(
        program, "prepare", table, "--output", folder / "rows", "--preset", "dalle", "--min-words",
        "100", "--shard", f"{rows - 1}/{rows}")
    print(f"counting rows and reading past them: {1e6 * seconds / rows:.2f} µs a row")


def merge(program, folder, images):
    generator = random.Random(1)
    archive = folder / "noise.tar"
    with tarfile.open(archive, "w", format=tarfile.USTAR_FORMAT) as tar:
        for number in range(images):
            bytes_ = png(generator)
            member = tarfile.TarInfo(f"{number:09}.png")
            member.size = len(bytes_)
            tar.addfile(member, io.BytesIO(bytes_))
    options = ["--preset", "none", "--exact-duplicates", "on", "--near-duplicates", "4"]
    parts = []
    for part in range(2):
        run(program, "prepare", archive, "--output", folder / "noise", *options, "--shard", f"{part}/2")
        parts.append(folder / f"noise-{part}-of-2")
    # An empty job's memory.
    few = folder / "few"
    _, _, idle = run(program, "prepare", archive, "--output", few, *options, "--limit", "100")
    report, seconds, peak = run(program, "prepare", "--merge", *parts, "--output", folder / "merged")
    size = sum(path.stat().st_size for path in (folder / "merged").iterdir())
    print(f"merge of {images} images, {report['samples']} kept: {1e6 * seconds / images:.0f} µs and "
          f"{size / images / 1000:.1f} kB an image, {(peak - idle) / report['samples']:.0f} bytes of "
          f"memory each above {idle / 1e6:.0f} MB")


def tokenize(program, folder, shards, images):
    sample = folder / "sample"
    sample.mkdir()
    with tarfile.open(shards / "shard-000000.tar") as archive:
        members = [member for member in archive if member.name.endswith(".jpg")]
        for member in members[:images]:
            (sample / member.name).write_bytes(archive.extractfile(member).read())
    for weights in ["starter", "random"]:
        # The time to load the model is taken away.
        times = [
            run(program, "tokenize", *sorted(sample.iterdir())[:number], "--output",
                folder / f"{weights}-{number}.tar", "--weights", weights, "--upscale", "--threads", "1")[1]
            for number in (1, images)]
        print(f"tokenize ({weights}): {(times[1] - times[0]) / (images - 1):.3f} s an image")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(ROOT / ".build/release/dvae"))
    parser.add_argument("--photos", type=pathlib.Path, default=ROOT / "Examples/photos")
    parser.add_argument("--pairs", type=int, default=2000)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--tokens", type=int, default=64)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        shards = fetch(arguments.program, arguments.photos, folder, arguments.pairs)
        count(arguments.program, folder, arguments.images)
        tokenize(arguments.program, folder, shards, arguments.tokens)
        merge(arguments.program, folder, arguments.images)


if __name__ == "__main__":
    main()
