"""Prints the PSNR and SSIM that Tests/DVAEKitTests/ImageQualityTests.swift expects.

The definition is scikit-image's structural_similarity with gaussian_weights=True, sigma=1.5,
use_sample_covariance=False, data_range=255, channel by channel, written out in NumPy and SciPy
(and compared with scikit-image where that is installed).

    python image_quality_oracle.py
"""
import numpy as np


def ssim(a, b):
    from numpy.lib.stride_tricks import sliding_window_view

    k = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window = np.outer(k, k) / k.sum() ** 2
    mean = lambda x: (sliding_window_view(x, (11, 11)) * window).sum((-2, -1))
    ua, ub = mean(a), mean(b)
    va, vb, vab = mean(a * a) - ua**2, mean(b * b) - ub**2, mean(a * b) - ua * ub
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    s = (2 * ua * ub + c1) * (2 * vab + c2) / ((ua**2 + ub**2 + c1) * (va + vb + c2))
    return s.mean()


y, x, c = np.meshgrid(np.arange(24), np.arange(31), np.arange(3), indexing="ij")
a = ((7 * x + 13 * y + 40 * c) % 256).astype(float)
b = ((7 * x + 13 * y + 40 * c + (x * y + c) % 9) % 256).astype(float)
print("psnr", 10 * np.log10(255**2 / ((a - b) ** 2).mean()))
print("ssim", np.mean([ssim(a[..., i], b[..., i]) for i in range(3)]))
try:
    from skimage.metrics import structural_similarity

    print("scikit-image", structural_similarity(
        a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255,
        channel_axis=2))
except ImportError:
    print("scikit-image is not installed")
