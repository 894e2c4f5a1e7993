"""Makes Tests/Fixtures/prepare: YFCC100M metadata in the forms that Swift's tests cannot write.

The rows are invented; the pictures hold nothing but patterns. Needs Pillow.
"""

import bz2
import io
import pathlib
import sqlite3
import struct
import zipfile

from PIL import Image

FOLDER = pathlib.Path(__file__).parent.parent / "Tests" / "Fixtures" / "prepare"

# The 23 columns, with the names of the SQLite form.
COLUMNS = """photoid uid unickname datetaken dateuploaded capturedevice title description usertags
machinetags longitude latitude accuracy pageurl downloadurl licensename licenseurl serverid farmid
secret secretoriginal ext marker""".split()

# Line number, hash, identifier, title, marker.
PHOTOS = [
    ("1001", "0aabbccddeeff00112233445566778", "101", "A+%3Cb%3Ered%3C%2Fb%3E+car+at+sea", "0"),
    ("1002", "ffeeddccbbaa99887766554433221100", "102", "A+film", "1"),
    ("1003", "123456789abcdef0123456789abcdef0", "103", "Caf%C3%A9+%26amp%3B+1%2B1", "0"),
]


def row(identifier, title, marker):
    values = dict.fromkeys(COLUMNS, "")
    values.update(
        photoid=identifier, uid="9@N00", unickname="Ann+B", title=title, marker=marker,
        description="Some+text", downloadurl=f"http://img.example/{identifier}.jpg",
        licensename="Attribution License", licenseurl="http://licence.example/by", ext="jpg",
    )
    return [values[name] for name in COLUMNS]


def picture(seed):
    image = Image.new("RGB", (48, 32))
    image.putdata([((x * seed) % 256, (y * 7) % 256, (x + y) % 256)
                   for y in range(32) for x in range(48)])
    file = io.BytesIO()
    image.save(file, "JPEG", quality=80)
    return file.getvalue()


def repeat_pages(database, is_schema):
    """A small database whose table, or list of tables, has billions of rows: interior pages lead sixty
    times to the same next page, over several levels."""
    database.unlink(missing_ok=True)
    with sqlite3.connect(database, isolation_level=None) as connection:
        connection.execute("PRAGMA page_size = 512")
        connection.execute(f"CREATE TABLE yfcc100m_dataset ({', '.join(COLUMNS)})")
        values = ["7"] + ["x"] * (len(COLUMNS) - 2) + ["0"]
        for _ in range(60):
            connection.execute(
                f"INSERT INTO yfcc100m_dataset VALUES ({', '.join('?' * len(values))})", values)
    pages = bytearray(database.read_bytes())
    first, root, leaf, last = 1, 2, 3, len(pages) // 512

    def lead(page, child, at=0, count=60):
        """Writes an interior page of `count` cells: the child and a key."""
        cells = b"".join(struct.pack(">IB", child, key + 1) for key in reversed(range(count)))
        start = 512 - len(cells)
        head = b"\x05" + struct.pack(">HHHBI", 0, count, start, 0, child)
        head += b"".join(struct.pack(">H", 512 - 5 * (key + 1)) for key in range(count))
        pages[512 * (page - 1) + at:512 * page] = head.ljust(512 - at - len(cells), b"\0") + cells

    if is_schema:
        # The list of tables begins behind the header of the file; it moves to the leaf.
        count = struct.unpack(">H", pages[103:105])[0]
        head, content = pages[100:108 + 2 * count], struct.unpack(">H", pages[105:107])[0]
        pages[512 * (leaf - 1):512 * leaf] = bytes(head).ljust(content, b"\0") + pages[content:512]
        lead(first, leaf + 1, at=100, count=40)
    else:
        lead(root, leaf + 1)
    for page in range(leaf + 1, last + 1):
        lead(page, page + 1 if page < last else leaf)
    database.write_bytes(pages)


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    lines = []
    for line, digest, identifier, title, marker in PHOTOS:
        short = row(identifier, title, marker)
        lines.append("\t".join([line, identifier, digest] + short[1:]) + "\n")
    # Two streams, like those of parallel compressors, with the border within a line.
    text = "".join(lines).encode()
    (FOLDER / "yfcc100m_dataset.bz2").write_bytes(
        bz2.compress(text[:50]) + bz2.compress(text[50:]))
    # The older form, without line number and hash.
    older = ["\t".join(row(identifier, title, marker)) + "\n" for _, _, identifier, title, marker in PHOTOS]
    (FOLDER / "yfcc100m_23.bz2").write_bytes(bz2.compress("".join(older).encode()))

    # Captions and addresses, in the form of each kind of table.
    (FOLDER / "captions.tsv.bz2").write_bytes(bz2.compress(
        b"a red car\thttp://img.example/1.jpg\na cat , on a mat\thttp://img.example/2.jpg\n"))
    (FOLDER / "captions.csv.bz2").write_bytes(bz2.compress(
        b'caption,url\na red car,http://img.example/1.jpg\n'
        b'"a cat , on a mat",http://img.example/2.jpg\n'))
    (FOLDER / "captions.jsonl.bz2").write_bytes(bz2.compress(
        b'{"caption": "a red car", "url": "http://img.example/1.jpg"}\n'
        b'{"caption": "a cat , on a mat", "url": "http://img.example/2.jpg"}\n'))

    database = FOLDER / "yfcc100m_dataset.sql"
    database.unlink(missing_ok=True)
    with sqlite3.connect(database) as connection:
        connection.execute(f"CREATE TABLE yfcc100m_dataset ({', '.join(COLUMNS)})")
        for _, _, identifier, title, marker in PHOTOS:
            values = row(identifier, title, marker)
            values[0], values[-1] = int(identifier), int(marker)
            marks = ", ".join("?" * len(values))
            connection.execute(f"INSERT INTO yfcc100m_dataset VALUES ({marks})", values)

    # Tables that compute their rows: an endless view, columns of 400 MB.
    for name, statement in [
        ("view", "CREATE VIEW yfcc100m_dataset AS WITH RECURSIVE n(rowid) AS (SELECT 1 UNION ALL SELECT "
         "rowid + 1 FROM n) SELECT rowid, "
         + ", ".join(f"hex(randomblob(500)) AS {c}" for c in COLUMNS) + " FROM n"),
        ("generated", "CREATE TABLE yfcc100m_dataset (" + ", ".join(
            f"{c} GENERATED ALWAYS AS (hex(zeroblob(200000000)))" if c == "title" else c
            for c in COLUMNS) + ")"),
    ]:
        database = FOLDER / f"{name}.db"
        database.unlink(missing_ok=True)
        with sqlite3.connect(database) as connection:
            connection.execute("PRAGMA page_size = 4096")
            connection.execute(statement)

    for name in ["rows", "schema"]:
        repeat_pages(FOLDER / f"repeated_{name}.db", name == "schema")

    archive = FOLDER / "images" / "00" / "001.zip"
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w") as file:
        for name, seed, method in [
            ("001.jpg", 3, zipfile.ZIP_STORED), ("003.jpg", 5, zipfile.ZIP_DEFLATED)
        ]:
            file.writestr(zipfile.ZipInfo(name), picture(seed), method)


if __name__ == "__main__":
    main()
