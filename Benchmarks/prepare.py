"""The processor time of `dvae prepare` beside that of the image decoders, and its memory.

  swift build -c release
  python3 Benchmarks/prepare.py [--photos Examples/photos] [--repeats 5] [--rows 1000 1000000]

Needs Python alone. The photos become JPEGs by `dvae prepare` itself; many copies of them are then
prepared on one thread, in several ways by turns, and the median of each is printed: images per second
of a core, and the shares of the time that are spent within the decoder and the encoder. Then tables
of so many rows are prepared whose images are all written, and the most memory that the process had is
printed. A million rows take about 4 GB of disk while they are there.
"""

import argparse
import json
import pathlib
import shutil
import statistics
import tarfile
import tempfile

from contenders import Command

ROOT = pathlib.Path(__file__).resolve().parent.parent
COPIES = 400


def run(program, sources, output, *flags):
    """Runs `dvae prepare`; its report, and the most memory it had, in bytes."""
    shutil.rmtree(output, ignore_errors=True)
    command = Command("dvae prepare", [
        program, "prepare", *sources, "--output", output, "--preset", "none", "--quiet", "--json",
        *flags], threads=1, read=json.loads)
    return command.measure(), command.peak


def make_folder(program, photos, folder, sidecars, *flags):
    """A folder of JPEGs made of the photos, each many times, perhaps with texts beside it."""
    shards = folder.with_suffix(".shards")
    run(program, [photos], shards, "--encoding", "jpeg", *flags)
    with tarfile.open(shards / "shard-000000.tar") as archive:
        pictures = [archive.extractfile(member).read() for member in archive
                    if member.name.endswith(".jpg")]
    shutil.rmtree(shards)
    folder.mkdir()
    for number in range(COPIES):
        stem = folder / f"{number:06}"
        stem.with_suffix(".jpg").write_bytes(pictures[number % len(pictures)])
        if sidecars:
            stem.with_suffix(".txt").write_text(f"picture {number} of something in the open air")
            stem.with_suffix(".json").write_text(
                json.dumps({"licence": "none", "author": f"nobody {number}", "year": 2026}))
    return folder


def speed(program, photos, folder, repeats):
    kept = make_folder(program, photos, folder / "kept", False, "--quality", "88")
    small = make_folder(program, photos, folder / "small", True, "--square", "--max-side", "272")
    ways = [
        ("kept as they are", kept, []),
        ("small, with .txt and .json", small, []),
        ("--max-side 256", kept, ["--max-side", "256"]),
        ("--square --max-side 256", kept, ["--square", "--max-side", "256"]),
        ("--max-side 256 --resize area", kept, ["--max-side", "256", "--resize", "area"]),
    ]
    results = {name: [] for name, _, _ in ways}
    for _ in range(repeats):
        for name, source, flags in ways:
            report, _ = run(program, [source], folder / "out", "--threads", "1", *flags)
            results[name].append(
                (report["images_per_second_per_core"], report["decoder_share"],
                 report["encoder_share"]))
    print(f"{'':30} {'images/s per core':>18} {'decoder':>8} {'encoder':>8}")
    for name, found in results.items():
        rate, decoder, encoder = (statistics.median(values) for values in zip(*found))
        print(f"{name:30} {rate:18.0f} {decoder:8.2f} {encoder:8.2f}")


def memory(program, photos, folder, rows):
    picture = make_folder(program, photos, folder / "tiny", False, "--max-side", "32")
    for count in rows:
        table = folder / "table.tsv"
        with table.open("w") as file:
            for row in range(count):
                file.write(f"caption number {row} of a picture\ttiny/{row % COPIES:06}.jpg\n")
        _, most = run(program, [table], folder / "out")
        size = sum(file.stat().st_size for file in (folder / "out").iterdir())
        print(f"{count:>9} rows: {most / 1e6:.0f} MB of memory at most, {size / 1e6:.0f} MB written")
    shutil.rmtree(picture)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(ROOT / ".build/release/dvae"))
    parser.add_argument("--photos", type=pathlib.Path, default=ROOT / "Examples/photos")
    parser.add_argument("--rows", type=int, nargs="*", default=[1000, 1_000_000])
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.repeats > 0:
            speed(arguments.program, arguments.photos, pathlib.Path(folder), arguments.repeats)
        memory(arguments.program, arguments.photos, pathlib.Path(folder), arguments.rows)


if __name__ == "__main__":
    main()
