"""Prints the numbers that Tests/DVAEImagesTests/PictureMeasuresTests.swift expects.

SSIM is scikit-image's structural_similarity: with gaussian_weights=True, sigma=1.5,
use_sample_covariance=False, and with its defaults (uniform 7x7 window, sample covariance). MS-SSIM
is the formula of Wang, Simoncelli and Bovik (2003) written out in NumPy: weights 0.0448, 0.2856,
0.3001, 0.2363, 0.1333, the same Gaussian window, 2x2 means between the scales; channel by channel,
then the mean. Where pytorch-msssim is installed, its number is printed beside it: its window is
rounded to float32, and it pads odd sides.

Numbers in the tests: scikit-image 0.26.0, NumPy 2.4.6, pytorch-msssim 1.0.0 (float64).

    python image_quality_oracle.py
"""
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

IMAGES = Path(__file__).resolve().parent.parent / "Tests/Fixtures/images"


def ssim_and_contrast(a, b):
    k = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window = np.outer(k, k) / k.sum() ** 2
    mean = lambda x: (sliding_window_view(x, (11, 11)) * window).sum((-2, -1))
    ua, ub = mean(a), mean(b)
    va, vb, vab = mean(a * a) - ua**2, mean(b * b) - ub**2, mean(a * b) - ua * ub
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    contrast = (2 * vab + c2) / (va + vb + c2)
    return ((2 * ua * ub + c1) / (ua**2 + ub**2 + c1) * contrast).mean(), contrast.mean()


def ms_ssim(a, b):
    result = 1.0
    weights = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333]
    for scale, weight in enumerate(weights):
        if scale > 0:
            h, w = a.shape[0] // 2, a.shape[1] // 2
            a, b = (x[: 2 * h, : 2 * w].reshape(h, 2, w, 2).mean((1, 3)) for x in (a, b))
        s, cs = ssim_and_contrast(a, b)
        result *= max(0.0, s if scale == len(weights) - 1 else cs) ** weight
    return result


def show(name, a, b):
    print(name)
    print("  psnr", peak_signal_noise_ratio(a, b, data_range=255))
    print("  l1", np.abs(a.astype(float) - b).mean() / 255)
    print("  ssim", structural_similarity(
        a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255,
        channel_axis=2))
    print("  ssim 7x7", structural_similarity(a, b, data_range=255, channel_axis=2))
    if min(a.shape[:2]) < 176:
        return
    planes = [(a[..., i].astype(float), b[..., i].astype(float)) for i in range(3)]
    print("  ms-ssim", np.mean([ms_ssim(x, y) for x, y in planes]))
    try:
        import torch
        from pytorch_msssim import ms_ssim as other

        batch = lambda x: torch.from_numpy(x.astype(float)).permute(2, 0, 1)[None]
        print("  pytorch-msssim", other(batch(a), batch(b), data_range=255).item())
    except ImportError:
        print("  pytorch-msssim is not installed")


def formula(height, width):
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    a = (7 * x + 13 * y + 40 * c) % 256
    b = (7 * x + 13 * y + 40 * c + (x * y + c) % 9) % 256
    return a.astype(np.uint8), b.astype(np.uint8)


show("formula 24x31", *formula(24, 31))
show("formula 179x201", *formula(179, 201))
photo = np.asarray(Image.open(IMAGES / "kodim23.png").convert("RGB"))
show(f"kodim23 {photo.shape[0]}x{photo.shape[1]}, bytes cut to steps of 32",
     photo, photo // 32 * 32 + 16)
