"""How like a picture its reconstruction is, and how a codebook is used."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int, UInt8

_LUMA = np.array([0.299, 0.587, 0.114])
_SIGMA, _K1, _K2 = 1.5, 0.01, 0.03


class Quality(NamedTuple):
    """Of many pictures: PSNR in dB of the mean squared error of all pixels, and of those inside things; mean SSIM."""

    psnr: float
    inside: float
    ssim: float


class Use(NamedTuple):
    """Of a codebook: the part of its codes that occurred, in how many codes, and 2 to the power of their entropy."""

    used: float
    codes: int
    perplexity: float


def quality(
    pictures: list[UInt8[np.ndarray, "H W 3"]],
    drawn: list[UInt8[np.ndarray, "H W 3"]],
    inside: list[Bool[np.ndarray, "H W"]],
) -> Quality:
    """Of pictures and what was made of them. Raises ValueError where sizes differ."""
    pairs = list(zip(pictures, drawn, strict=True))
    errors = [np.square((a.astype(float) - b.astype(float)) / 255).mean(-1) for a, b in pairs]
    whole = float(np.concatenate([error.reshape(-1) for error in errors]).mean())
    within = float(np.concatenate([error[mask] for error, mask in zip(errors, inside, strict=True)]).mean())
    alike = float(np.mean([ssim(a, b) for a, b in pairs]))
    return Quality(decibels(whole), decibels(within), alike)


def decibels(error: float) -> float:
    """PSNR of a mean squared error of values in [0, 1]; 99 at most."""
    return min(99.0, -10 * math.log10(max(error, 1e-12)))


def ssim(one: UInt8[np.ndarray, "H W 3"], other: UInt8[np.ndarray, "H W 3"]) -> float:
    """Structural similarity of brightness, a Gaussian window of 11 x 11 pixels (Wang et al. 2004, section III)."""
    from scipy.ndimage import gaussian_filter

    def mean(values: Float64[np.ndarray, "H W"]) -> Float64[np.ndarray, "H W"]:
        return gaussian_filter(values, _SIGMA, truncate=3.5)

    a, b = one @ _LUMA, other @ _LUMA
    mean_a, mean_b = mean(a), mean(b)
    variance_a, variance_b = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2
    together = mean(a * b) - mean_a * mean_b
    c1, c2 = (255 * _K1) ** 2, (255 * _K2) ** 2
    above = (2 * mean_a * mean_b + c1) * (2 * together + c2)
    return float((above / ((mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2))).mean())


def use(codes: Int[np.ndarray, " n"], size: int) -> Use:
    """How a codebook of `size` codes is used."""
    counts = np.bincount(codes.reshape(-1), minlength=size)
    shares = counts[counts > 0] / counts.sum()
    return Use(float((counts > 0).mean()), int(counts.sum()), float(2 ** -(shares * np.log2(shares)).sum()))
