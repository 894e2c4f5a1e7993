#!/usr/bin/env python3
"""Makes Tests/Fixtures/preprocessing: images as published models prepare them for the dVAE.

NAME.flava.png is what the image processor of Hugging Face's FLAVA makes for its codebook, taken back
from mapped samples to bytes. NAME.beit.png is the region that BEiT's random crop takes when no random
one fits (the middle of the picture, of an aspect ratio from 3:4 to 4:3), resized as BEiT's code does,
by Pillow's LANCZOS to 112×112 pixels. Needs Pillow, NumPy and transformers; made with Pillow 13.0.0
and transformers 5.24.0. Run it from the root of the repository.
"""

import pathlib

import numpy as np
from PIL import Image
from transformers.models.flava.image_processing_pil_flava import FlavaImageProcessorPil

FIXTURES = pathlib.Path("Tests/Fixtures")
OUT = FIXTURES / "preprocessing"
# Upright, wide, nearly square, and smaller than the result.
PHOTOS = ["images/kodim04.jpg", "images/kodim23.png", "images/odd_401x333.png", "codecs/jpeg_420.jpg"]
SIDE = 112


def flava(image):
    mapped = FlavaImageProcessorPil()(image, return_codebook_pixels=True, return_tensors="np")
    samples = (mapped["codebook_pixel_values"][0] - 0.1) / 0.8 * 255
    pixels = np.rint(samples)
    assert np.abs(samples - pixels).max() < 1e-3, "not bytes that were mapped"
    return Image.fromarray(pixels.astype(np.uint8).transpose(1, 2, 0))


def beit(image):
    width, height = image.size
    if width / height < 3 / 4:
        height = round(width / (3 / 4))
    elif width / height > 4 / 3:
        width = round(height * (4 / 3))
    left, top = (image.width - width) // 2, (image.height - height) // 2
    region = image.crop((left, top, left + width, top + height))
    return region.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


OUT.mkdir(exist_ok=True)
for path in PHOTOS:
    photo = Image.open(FIXTURES / path).convert("RGB")
    for name, prepare in [("flava", flava), ("beit", beit)]:
        prepared = prepare(photo)
        assert prepared.size == (SIDE, SIDE)
        prepared.save(OUT / f"{pathlib.Path(path).stem}.{name}.png", optimize=True)
