"""OpenAI's dVAE in PyTorch with random weights, for comparisons; nothing is downloaded.

Needs torch, numpy, pillow and, installed with `pip install --no-deps`, DALL-E 0.1 (its own
requirements are of 2021) beside attrs and requests.
"""

import os

import numpy as np
import torch
from PIL import Image

import dall_e
import dall_e.utils


def make_models(n_hid=256, vocabulary=8192, blocks=2, seed=0, photos=()):
    """An encoder and a decoder of the `DALL-E` package with random weights that are fit to compare.

    The package's own initialisation has no biases and sends nearly every position to the same few
    tokens. Here the biases are random, so that a dropped one shows. The encoder's last layer is
    standardised by its input's mean and deviation over `photos`, so that the tokens spread over the
    vocabulary; the decoder's is scaled so that the pictures use the whole range of colours.
    """
    torch.manual_seed(seed)
    sizes = dict(n_hid=n_hid, n_blk_per_group=blocks, vocab_size=vocabulary)
    encoder = dall_e.Encoder(**sizes).eval()
    decoder = dall_e.Decoder(**sizes).eval()
    with torch.no_grad():
        for model in (encoder, decoder):
            for name, parameter in model.named_parameters():
                if name.endswith(".b"):
                    parameter.normal_(std=0.1)
        if len(photos):
            _spread_tokens(encoder, torch.cat([preprocess(p) for p in photos]))
            _spread_colours(decoder, vocabulary)
    return encoder, decoder


def read_safetensors(path):
    """An encoder and a decoder of the `DALL-E` package with the weights of `dvae weights convert`."""
    from safetensors.torch import load_file

    halves = {"encoder": {}, "decoder": {}}
    for name, parameter in load_file(path).items():
        half, name = name.split(".", 1)
        halves[half][name] = parameter
    weights = halves["encoder"]
    vocabulary, features = weights["blocks.output.conv.w"].shape[:2]
    blocks = sum(name.startswith("blocks.group_1.block_") and name.endswith("conv_1.w")
                 for name in weights)
    sizes = dict(n_hid=features // 8, n_blk_per_group=blocks, vocab_size=vocabulary)
    models = dall_e.Encoder(**sizes).eval(), dall_e.Decoder(**sizes).eval()
    for model, weights in zip(models, halves.values()):
        model.load_state_dict(weights)
    return models


def let_autocast_choose():
    """Keeps the package's convolutions from casting their input to float32, against autocast."""
    dall_e.utils.Conv2d.forward = lambda self, x: torch.nn.functional.conv2d(
        x, self.w, self.b, padding=(self.kw - 1) // 2)


def _spread_tokens(encoder, images):
    features = []
    last = encoder.blocks.output.conv
    hook = last.register_forward_pre_hook(lambda _, inputs: features.append(inputs[0]))
    encoder(images)
    hook.remove()
    x = features[0].transpose(0, 1).flatten(1)
    mean, deviation = x.mean(1), x.std(1)
    # Do not amplify channels that are nearly always 0 on these photos.
    deviation.clamp_(min=deviation.mean().item())
    last.w /= deviation[None, :, None, None]
    last.b -= last.w[:, :, 0, 0] @ mean


def _spread_colours(decoder, vocabulary):
    statistics = decoder(one_hot(torch.randint(vocabulary, (1, 8, 8)), vocabulary))
    last = decoder.blocks.output.conv
    scale = 1.2 / statistics.std(dim=(0, 2, 3))
    last.w *= scale[:, None, None, None]
    last.b.sub_(statistics.mean(dim=(0, 2, 3))).mul_(scale)


def save(encoder, decoder, folder):
    """Writes encoder.pkl and decoder.pkl as OpenAI did: whole pickled modules."""
    os.makedirs(folder, exist_ok=True)
    torch.save(encoder, os.path.join(folder, "encoder.pkl"))
    torch.save(decoder, os.path.join(folder, "decoder.pkl"))


def photos_in(folder):
    """The paths of the images in a folder, by name."""
    kinds = (".png", ".jpg", ".jpeg", ".webp")
    names = sorted(n for n in os.listdir(folder) if n.lower().endswith(kinds))
    return [os.path.join(folder, n) for n in names]


def preprocess(path, size=256):
    """The released notebook's preprocessing: LANCZOS, centre crop, map_pixels. [1, 3, size, size]"""
    image = Image.open(path).convert("RGB")
    ratio = size / min(image.size)
    image = image.resize([round(ratio * side) for side in image.size], Image.LANCZOS)
    left, top = (int(round((side - size) / 2.0)) for side in image.size)
    image = image.crop((left, top, left + size, top + size))
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None]
    return dall_e.map_pixels(pixels.float().div(255))


def one_hot(tokens, vocabulary):
    """[N, H, W] integers to [N, vocabulary, H, W] floats."""
    return torch.nn.functional.one_hot(tokens, vocabulary).permute(0, 3, 1, 2).float()


def picture(statistics):
    """The notebook's picture of the decoder's output: bytes [H, W, 3], cut, not rounded."""
    colours = dall_e.unmap_pixels(torch.sigmoid(statistics[:, :3]).float())
    return (colours[0] * 255).to(torch.uint8).permute(1, 2, 0).numpy()
