#!/usr/bin/env python3
"""Prints the rounding errors of Winograd's F(4x4, 3x3) and F(6x6, 3x3) in float32.

The largest and the mean square error of a 3x3 convolution of random numbers after ReLU, against
sums in float64, in standard deviations of the output. Sums run over 64 channels at a time, as in
the CPU engine. Needs numpy.
"""

from fractions import Fraction

import numpy as np

STEP, TILES, OUTPUTS = 64, 60, 64


def transforms(points, outputs):
    """The matrices A, G and B of F(outputs, 3) by Toom and Cook, with infinity as the last point."""
    points = [Fraction(p) for p in points]
    products = [
        np.prod([p - q for j, q in enumerate(points) if j != i]) for i, p in enumerate(points)
    ]

    def polynomial(roots):
        coefficients = [Fraction(1)]
        for root in roots:
            shifted = [Fraction(0)] + coefficients
            coefficients = [a - root * b for a, b in zip(shifted, coefficients + [Fraction(0)])]
        return coefficients

    a = [[p**i for p in points] + [int(i == outputs - 1)] for i in range(outputs)]
    g = [[p**i / f for i in range(3)] for p, f in zip(points, products)] + [[0, 0, 1]]
    b = [polynomial(points[:i] + points[i + 1 :]) + [0] for i in range(len(points))]
    b.append(polynomial(points))
    return [np.array(m, dtype=np.float64).astype(np.float32) for m in (a, g, b)]


def both_axes(matrix, tiles):
    """Multiplies axes 1 and 2 of [n, h, w, c] by a matrix."""
    return np.einsum("bj,najc->nabc", matrix, np.einsum("ai,nijc->najc", matrix, tiles))


def errors(points, outputs, channels, random):
    side = outputs + 2
    x = np.maximum(random.normal(size=(TILES, side, side, channels)), 0).astype(np.float32)
    w = random.normal(size=(OUTPUTS, 3, 3, channels)).astype(np.float32)
    exact = sum(
        np.einsum(
            "nijc,oc->nijo",
            x[:, r : r + outputs, c : c + outputs].astype(np.float64),
            w[:, r, c].astype(np.float64),
        )
        for r in range(3)
        for c in range(3)
    )
    a, g, b = transforms(points, outputs)
    u, v = both_axes(g, w), both_axes(b, x)
    products = np.zeros((TILES, side, side, OUTPUTS), np.float32)
    for k in range(0, channels, STEP):
        products += np.einsum("nijc,oijc->nijo", v[..., k : k + STEP], u[..., k : k + STEP])
    error = np.abs(both_axes(a, products) - exact) / exact.std()
    return error.max(), np.sqrt((error**2).mean())


def main():
    four = [0, 1, -1, 2, -2]
    six = four + [Fraction(1, 2), Fraction(-1, 2)]
    for channels in (64, 256, 1024, 2048):
        for outputs, points in ((4, four), (6, six)):
            most, usual = errors(points, outputs, channels, np.random.default_rng(1))
            print(
                f"{channels:4} channels, F({outputs}x{outputs}, 3x3): largest {most:.1e}, "
                f"root mean square {usual:.1e}"
            )


if __name__ == "__main__":
    main()
