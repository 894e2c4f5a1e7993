"""The shortest script that turns a photo into tokens with PyTorch: ENCODER PHOTO OUT.npy THREADS"""
import sys

import numpy
import torch
from PIL import Image

torch.set_num_threads(int(sys.argv[4]))
encoder = torch.load(sys.argv[1], weights_only=False)
image = Image.open(sys.argv[2]).convert("RGB")
ratio = 256 / min(image.size)
image = image.resize([round(ratio * side) for side in image.size], Image.LANCZOS)
left, top = (int(round((side - 256) / 2)) for side in image.size)
image = image.crop((left, top, left + 256, top + 256))
x = torch.from_numpy(numpy.array(image)).permute(2, 0, 1)[None].float() / 255
with torch.inference_mode():
    tokens = encoder(0.8 * x + 0.1).argmax(1)
numpy.save(sys.argv[3], tokens.numpy().astype(numpy.uint16))
