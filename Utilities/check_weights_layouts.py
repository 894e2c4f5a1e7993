#!/usr/bin/env python3
"""Loads what 'dvae weights convert --format dall_e|flava' writes in the packages that it is for, with
strict names, and compares tokens and pixels with the model that was converted.

    python Utilities/check_weights_layouts.py DVAE WEIGHTS PHOTO

WEIGHTS is a folder of OpenAI's modules (encoder.pkl, decoder.pkl), such as Tests/Fixtures/tiny. Needs
torch, transformers, Pillow, NumPy, and the package DALL-E (pip install --no-deps DALL-E).
"""

import pathlib
import subprocess
import sys
import tempfile

import dall_e
import numpy as np
import torch
from PIL import Image
from transformers import FlavaImageCodebook

dvae, weights, photo = sys.argv[1:]
original = {half: torch.load(f"{weights}/{half}.pkl", weights_only=False) for half in ("encoder", "decoder")}
image = np.asarray(Image.open(photo).convert("RGB").resize((256, 256)), np.float32) / 255
x = dall_e.map_pixels(torch.from_numpy(image.transpose(2, 0, 1))[None])
torch.set_grad_enabled(False)
logits = original["encoder"](x)
tokens = logits.argmax(1)
vocabulary = logits.shape[1]
hot = torch.nn.functional.one_hot(tokens, vocabulary).permute(0, 3, 1, 2).float()

with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    for layout in ("dall_e", "flava"):
        subprocess.run(
            [dvae, "weights", "convert", weights, "--format", layout, "--output", folder / layout],
            check=True, stdout=subprocess.DEVNULL)
    for half, Half in (("encoder", dall_e.Encoder), ("decoder", dall_e.Decoder)):
        state = torch.load(folder / "dall_e" / f"{half}.pt", weights_only=True)
        model = Half(
            n_hid=original[half].n_hid, n_blk_per_group=original[half].n_blk_per_group,
            vocab_size=vocabulary,
            **({"n_init": original[half].n_init} if half == "decoder" else {}))
        model.load_state_dict(state, strict=True)
        given = x if half == "encoder" else hot
        assert torch.equal(model(given), original[half](given)), half
        print(f"dall_e {half}: {len(state)} tensors, the same output")
    codebook, report = FlavaImageCodebook.from_pretrained(folder / "flava", output_loading_info=True)
    assert not any(report.values()), report
    assert torch.equal(codebook.get_codebook_indices(x), tokens)
    difference = (codebook(x) - logits).abs().max().item()
    print(f"flava: {len(codebook.state_dict())} tensors, the same tokens, logits within {difference:.2g}")
