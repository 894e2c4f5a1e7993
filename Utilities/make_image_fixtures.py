#!/usr/bin/env python3
"""Makes Tests/Fixtures/codecs: small images of every kind and what Pillow reads from them;
and Tests/Fixtures/archives: one small set of files in each tar format that Python writes.

For each image NAME.EXT there is NAME.rgb, the interleaved RGB bytes of
ImageOps.exif_transpose(Image.open(...)).convert("RGB"); manifest.txt lists "NAME.EXT width height"
(the size after turning). Needs Pillow and numpy. Made with Pillow 13.0.0 (libjpeg-turbo 3.2.0,
libwebp 1.6.0); run it from the root of the repository. With --resampling it prints the checksums
of Tests/DVAEImagesTests/ResamplingTests.swift instead.
"""

import io
import pathlib
import os
import struct
import subprocess
import sys
import tarfile
import tempfile
import zlib

import numpy as np
from PIL import Image, ImageOps

OUT = pathlib.Path("Tests/Fixtures/codecs")
W, H = 17, 7
y, x = np.mgrid[0:H, 0:W]
RGB = np.stack(
    [(15 * x + 3 * y) % 256, 255 - 20 * y, (x * y * 3 + 40) % 256], -1
).astype(np.uint8)
ALPHA = ((x * 16 + y * 5) % 256).astype(np.uint8)
GRAY = ((x * 13 + y * 7) % 256).astype(np.uint8)
names = []


def put(name, data):
    image = Image.open(io.BytesIO(data))
    result = ImageOps.exif_transpose(image).convert("RGB")
    (OUT / name).write_bytes(data)
    (OUT / (pathlib.Path(name).stem + ".rgb")).write_bytes(result.tobytes())
    names.append(f"{name} {result.width} {result.height}")


def save(name, image, form, **options):
    data = io.BytesIO()
    image.save(data, form, **options)
    put(name, data.getvalue())


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(
        ">I", zlib.crc32(kind + data))


def pack(samples, depth):
    """Samples [h, w, c] of 1 to 16 bits to filtered rows."""
    rows = b""
    for row in samples:
        flat = row.reshape(-1)
        if depth == 16:
            body = flat.astype(">u2").tobytes()
        else:
            bits = ((flat[:, None] >> np.arange(depth - 1, -1, -1)) & 1).astype(np.uint8)
            body = np.packbits(bits.reshape(-1)).tobytes()
        rows += b"\0" + body
    return rows


def png(samples, depth, kind, extra=b"", interlaced=False):
    h, w = samples.shape[:2]
    samples = samples.reshape(h, w, -1).astype(np.int64)
    if interlaced:
        data = b""
        for x0, y0, dx, dy in [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4),
                               (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]:
            part = samples[y0::dy, x0::dx]
            if part.size:
                data += pack(part, depth)
    else:
        data = pack(samples, depth)
    header = struct.pack(">IIBBBBB", w, h, depth, kind, 0, 0, int(interlaced))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra
            + chunk(b"IDAT", zlib.compress(data, 9)) + chunk(b"IEND", b""))


def exif(orientation, order=">"):
    mark = b"MM\0*" if order == ">" else b"II*\0"
    value = struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    return mark + struct.pack(order + "IH", 8, 1) + value + struct.pack(order + "I", 0)


def jpegs():
    picture = Image.fromarray(RGB)
    save("jpeg_420.jpg", picture, "JPEG", quality=85, subsampling="4:2:0")
    save("jpeg_422.jpg", picture, "JPEG", quality=85, subsampling="4:2:2")
    save("jpeg_444.jpg", picture, "JPEG", quality=85, subsampling="4:4:4")
    save("jpeg_progressive.jpg", picture, "JPEG", quality=85, progressive=True)
    save("jpeg_restart.jpg", picture, "JPEG", quality=85, restart_marker_blocks=1)
    save("jpeg_rgb.jpg", picture, "JPEG", quality=90, keep_rgb=True)
    save("jpeg_gray.jpg", Image.fromarray(GRAY), "JPEG", quality=85)
    save("jpeg_gray_progressive.jpg", Image.fromarray(GRAY), "JPEG", quality=85, progressive=True)
    cmyk = Image.fromarray(np.dstack([RGB, ALPHA // 2]), "CMYK")
    save("jpeg_cmyk.jpg", cmyk, "JPEG", quality=90)
    data = io.BytesIO()
    cmyk.save(data, "JPEG", quality=90, subsampling="4:4:4")
    data = data.getvalue()
    # The same samples, declared as YCCK, and then without Adobe's marker.
    at = data.index(b"Adobe")
    put("jpeg_ycck.jpg", data[:at + 11] + b"\2" + data[at + 12:])
    put("jpeg_cmyk_unmarked.jpg", data[:at - 4] + data[at + 12:])
    save("jpeg_1x1.jpg", Image.fromarray(RGB[:1, :1]), "JPEG")
    save("jpeg_8x8.jpg", Image.fromarray(RGB[:8, :8]), "JPEG", subsampling="4:2:0")
    for orientation in range(1, 9):
        save(f"exif_{orientation}.jpg", Image.fromarray(RGB[:8, :8 + 5]), "JPEG", quality=60,
             subsampling="4:4:4",
             exif=b"Exif\0\0" + exif(orientation, "<" if orientation % 2 else ">"))
    save("jpeg_profile.jpg", picture, "JPEG", quality=80, icc_profile=b"not a profile" * 3)


def pngs():
    for depth in (1, 2, 4, 8, 16):
        scaled = GRAY.astype(np.int64) >> max(0, 8 - depth)
        if depth == 16:
            scaled = x * 60 + y  # below and above 255
        for laced in (False, True):
            suffix = f"{depth}" + ("_interlaced" if laced else "")
            put(f"png_gray{suffix}.png", png(scaled, depth, 0, interlaced=laced))
            if depth <= 8:
                palette = bytes(RGB.reshape(-1, 3)[:1 << min(depth, 7)].tobytes())
                index = (x + y * 3) % min(1 << depth, len(palette) // 3)
                put(f"png_palette{suffix}.png",
                    png(index, depth, 3, chunk(b"PLTE", palette), laced))
    put("png_gray4_trns.png",
        png(GRAY.astype(int) >> 4, 4, 0, chunk(b"tRNS", struct.pack(">H", 5))))
    put("png_gray16_trns.png",
        png(x * 20 + y, 16, 0, chunk(b"tRNS", struct.pack(">H", 40))))
    put("png_palette_trns.png",
        png(x % 4, 2, 3, chunk(b"PLTE", RGB[0, :4].tobytes()) + chunk(b"tRNS", b"\0\x80")))
    put("png_palette_short.png",
        png(x % 6, 8, 3, chunk(b"PLTE", RGB[0, :4].tobytes())))
    wide = np.concatenate([RGB, ALPHA[..., None]], -1).astype(np.int64)
    for depth, scale in ((8, 1), (16, 251)):
        for laced in (False, True):
            suffix = f"{depth}" + ("_interlaced" if laced else "")
            put(f"png_rgb{suffix}.png", png(wide[..., :3] * scale, depth, 2, interlaced=laced))
            put(f"png_rgba{suffix}.png", png(wide * scale, depth, 6, interlaced=laced))
            put(f"png_graya{suffix}.png", png(wide[..., 2:] * scale, depth, 4, interlaced=laced))
    put("png_rgb8_trns.png", png(RGB, 8, 2, chunk(b"tRNS", struct.pack(">3H", *RGB[0, 0]))))
    put("png_exif.png", png(RGB, 8, 2, chunk(b"eXIf", exif(6))))
    put("png_gamma_profile.png", png(RGB, 8, 2, chunk(b"gAMA", struct.pack(">I", 100000))
        + chunk(b"iCCP", b"broken\0\0" + b"not zlib") + chunk(b"tEXt", b"Title\0A test")))
    # The format is detected from the content: this is a PNG, despite its name.
    put("png_named.jpg", png(RGB, 8, 2))


def notes():
    """Orientation and damage where Pillow finds them, and only there."""
    def text(keyword, value):
        return keyword.encode() + b"\0" + value

    block = b"Exif\0\0" + exif(6)
    profile = f"\nexif\n{len(block):8d}\n{block.hex()}\n".encode()
    put("png_profile_text.png", png(RGB, 8, 2, chunk(b"tEXt", text("Raw profile type exif", profile))))
    put("png_profile_zip.png", png(
        RGB, 8, 2, chunk(b"zTXt", text("Raw profile type exif", b"\0" + zlib.compress(profile)))))
    for name, value in [("", b"\0\0\0\0" + profile), ("_zip", b"\1\0\0\0" + zlib.compress(profile))]:
        put(f"png_profile_itxt{name}.png", png(
            RGB, 8, 2, chunk(b"iTXt", text("Raw profile type exif", value))))
    # Of several notes the last one counts.
    put("png_profile_last.png", png(
        RGB, 8, 2, chunk(b"zTXt", text("Raw profile type exif", b"\0" + zlib.compress(profile)))
        + chunk(b"tEXt", text("Raw profile type exif", profile.replace(exif(6).hex().encode(),
                                                                      exif(3).hex().encode())))))
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="8"/></x:xmpmeta>'
    put("png_xmp.png", png(
        RGB, 8, 2, chunk(b"iTXt", text("XML:com.adobe.xmp", b"\0\0\0\0" + xmp))))
    put("png_xmp_zip.png", png(
        RGB, 8, 2, chunk(b"iTXt", text("XML:com.adobe.xmp", b"\1\0\0\0" + zlib.compress(xmp)))))
    # The Exif block takes precedence, even if it only says upright.
    put("png_xmp_and_exif.png", png(
        RGB, 8, 2, chunk(b"iTXt", text("XML:com.adobe.xmp", b"\0\0\0\0" + xmp))
        + chunk(b"eXIf", exif(1))))
    data = io.BytesIO()
    Image.fromarray(RGB).save(data, "JPEG", quality=60, xmp=xmp)
    put("jpeg_xmp.jpg", data.getvalue())
    data = io.BytesIO()
    Image.fromarray(RGB).save(data, "WEBP", lossless=True)
    late = b"EXIF" + struct.pack("<I", len(exif(6))) + exif(6)
    put("webp_late_exif.webp", data.getvalue() + late)
    # The zlib header says 256 bytes, but the data reach back further.
    wide = np.tile(RGB, (1, 40, 1))
    good = png(wide, 8, 2)
    start = good.index(b"IDAT")
    length = struct.unpack(">I", good[start - 4:start])[0]
    stream = bytearray(good[start + 4:start + 4 + length])
    stream[0] = 0x08
    stream[1] = 31 - (stream[0] * 256) % 31
    put("png_window.png", good[:start - 4] + chunk(b"IDAT", bytes(stream))
        + chunk(b"IEND", b""))


def webps():
    picture = Image.fromarray(RGB)
    alpha = Image.fromarray(np.dstack([RGB, ALPHA]), "RGBA")
    save("webp_lossy.webp", picture, "WEBP", quality=80)
    save("webp_lossless.webp", picture, "WEBP", lossless=True)
    save("webp_alpha.webp", alpha, "WEBP", quality=80)
    save("webp_alpha_lossless.webp", alpha, "WEBP", lossless=True, exact=True)
    save("webp_exif.webp", picture, "WEBP", lossless=True, exif=exif(8))
    second = Image.fromarray(255 - RGB)
    save("webp_animated.webp", picture, "WEBP", save_all=True, append_images=[second],
         lossless=True)
    save("webp_animated_alpha.webp", alpha, "WEBP", save_all=True, append_images=[second],
         quality=70)
    # A first frame that covers only a part of the canvas.
    data = io.BytesIO()
    picture.save(data, "WEBP", save_all=True, append_images=[second], lossless=True)
    data = bytearray(data.getvalue())
    at = data.index(b"VP8X") + 8
    data[at + 4:at + 10] = (W + 3).to_bytes(3, "little") + (H + 5).to_bytes(3, "little")
    at = data.index(b"ANMF") + 8
    data[at:at + 6] = (1).to_bytes(3, "little") + (2).to_bytes(3, "little")
    put("webp_animated_offset.webp", bytes(data))


def resampling():
    """Checksums of resized pattern pictures."""
    sizes = [((10, 8), (23, 17)), ((13, 9), (13, 30)), ((13, 9), (40, 9)), ((401, 333), (308, 256)),
             ((97, 61), (1, 1)), ((3, 2), (64, 64)), ((1000, 37), (100, 37))]
    for form in ("lanczos", "bicubic", "bilinear"):
        for source, target in sizes:
            b, a = np.mgrid[0:source[1], 0:source[0]]
            pixels = np.stack([7 * a + 13 * b, a * a + 3 * b, 5 * (a ^ b)], -1) % 256
            image = Image.fromarray(pixels.astype(np.uint8))
            result = image.resize(target, getattr(Image.Resampling, form.upper()))
            print(f'    .init(filter: "{form}", from: {source}, to: {target}, '
                  f"crc: 0x{zlib.crc32(result.tobytes()):08x}),")


def archives():
    """The same members in each format: a long name, a folder, a link, an odd size, no contents."""
    folder = pathlib.Path("Tests/Fixtures/archives")
    folder.mkdir(parents=True, exist_ok=True)
    tarfile.RECORDSIZE = 512
    for name, form in (("ustar", tarfile.USTAR_FORMAT), ("gnu", tarfile.GNU_FORMAT),
                       ("pax", tarfile.PAX_FORMAT)):
        with tarfile.open(folder / f"{name}.tar", "w", format=form) as archive:
            def add(path, data=b"", kind=tarfile.REGTYPE):
                member = tarfile.TarInfo(path)
                member.type, member.size = kind, len(data)
                member.linkname = "a.txt" if kind == tarfile.SYMTYPE else ""
                archive.addfile(member, io.BytesIO(data))
            add("set", kind=tarfile.DIRTYPE)
            add("set/a.txt", b"first")
            add("set/a.jpg", bytes(range(256)) * 2)
            add("set/link.txt", kind=tarfile.SYMTYPE)
            add("set/" + "long" * 20 + "/" + "name" * 22 + ".txt", b"x" * 513)
            if form != tarfile.USTAR_FORMAT:
                add("set/" + "n" * 150 + ".txt", b"too long for ustar")
            add("set/\u00e9t\u00e9.empty")


def sparse_archives():
    """GNU tar's archives of a file with holes and a hard link, in each of its four forms."""
    folder = pathlib.Path("Tests/Fixtures/archives").absolute()
    with tempfile.TemporaryDirectory() as place:
        with open(f"{place}/s.bin", "wb") as file:
            file.write(b"head")
            file.seek(131072)
            file.write(b"tail")
        pathlib.Path(place, "a.txt").write_bytes(b"first")
        os.link(f"{place}/a.txt", f"{place}/b.txt")
        for name, options in (("sparse-gnu", ["--format=gnu"]),
                              ("sparse-0.0", ["--format=pax", "--sparse-version=0.0"]),
                              ("sparse-0.1", ["--format=pax", "--sparse-version=0.1"]),
                              ("sparse-1.0", ["--format=pax", "--sparse-version=1.0"])):
            subprocess.run(
                ["tar", "-cSf", folder / f"{name}.tar", "-b1", "--mtime=@0", "--owner=0", "--group=0",
                 "--numeric-owner", "--mode=0644", *options, "-C", place, "a.txt", "s.bin", "b.txt"],
                check=True)


if "--resampling" in sys.argv:
    resampling()
    sys.exit()
OUT.mkdir(parents=True, exist_ok=True)
for old in OUT.iterdir():
    old.unlink()
jpegs()
pngs()
notes()
webps()
archives()
sparse_archives()
(OUT / "manifest.txt").write_text("\n".join(names) + "\n")
total = sum(file.stat().st_size for file in OUT.iterdir())
print(f"{len(names)} images, {total} bytes in all")
