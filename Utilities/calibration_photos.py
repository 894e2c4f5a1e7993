"""Makes the picture in Sources/DVAEKit/Calibration.swift from the photos of Examples/photos.

Each is cut to its middle square and reduced to 64x64 pixels; the four are put side by side in one
JPEG file, which is printed as base64. Needs Pillow.
"""

import base64
import io
import pathlib

from PIL import Image

photos = sorted((pathlib.Path(__file__).parents[1] / "Examples/photos").glob("*.png"))
picture = Image.new("RGB", (128, 128))
for i, path in enumerate(photos):
    photo = Image.open(path).convert("RGB")
    side = min(photo.size)
    left, top = (photo.width - side) // 2, (photo.height - side) // 2
    square = photo.crop((left, top, left + side, top + side)).resize((64, 64), Image.LANCZOS)
    picture.paste(square, (i % 2 * 64, i // 2 * 64))
file = io.BytesIO()
picture.save(file, "JPEG", quality=88, subsampling=0, optimize=True)
text = base64.b64encode(file.getvalue()).decode()
print("\n".join(text[i : i + 94] for i in range(0, len(text), 94)))
