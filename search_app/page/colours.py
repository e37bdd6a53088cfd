"""Colours that read the same to colour-blind eyes: viridis for amounts, Paul Tol's muted set for kinds."""

import numpy as np

# Viridis (Smith & van der Walt, 2015) at nine even steps; between them, linear.
VIRIDIS = np.array(
    [
        (68, 1, 84), (71, 45, 123), (59, 82, 139), (44, 114, 142), (33, 144, 140),
        (39, 173, 129), (92, 200, 99), (170, 220, 50), (253, 231, 37),
    ]
)  # (9, 3)  # fmt: skip

# Tol, "Colour schemes" (2021), muted; apart under every common colour blindness.
KINDS = np.array(
    [
        (51, 34, 136), (136, 204, 238), (68, 170, 153), (17, 119, 51), (153, 153, 51),
        (221, 204, 119), (204, 102, 119), (136, 34, 85), (170, 68, 153),
    ]
)  # (9, 3)  # fmt: skip
NEUTRAL = (148, 163, 184)  # no value: not in the search, or no prototype


def amount_colours(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Viridis colours (n, 3) uint8 of values (n,) stretched over [low, high]; NaN is neutral."""
    position = np.clip((values - low) / max(high - low, 1e-9), 0, 1) * (len(VIRIDIS) - 1)
    steps = np.arange(len(VIRIDIS))
    rgb = np.stack([np.interp(position, steps, channel) for channel in VIRIDIS.T], axis=-1)
    return np.where(np.isnan(values)[:, None], NEUTRAL, rgb).round().astype(np.uint8)


def kind_colours(kinds: np.ndarray) -> np.ndarray:
    """Categorical colours (n, 3) uint8 of kinds (n,) counted from 0; -1 is neutral."""
    return np.where(kinds[:, None] < 0, NEUTRAL, KINDS[kinds % len(KINDS)]).astype(np.uint8)


def stretch_limits(values: np.ndarray) -> tuple[float, float]:
    """Where a colour scale over values (n,) begins and ends; NaN left out.

    The 20th and the 99.5th percentile: what is looked for is at the upper end.
    """
    known = values[~np.isnan(values)]
    if not len(known):
        return 0.0, 1.0
    low, high = np.percentile(known, (20, 99.5))
    return float(low), float(high)


def css(rgb: np.ndarray | tuple[int, int, int]) -> str:
    """The colour as CSS hex."""
    return "#{:02x}{:02x}{:02x}".format(*(int(channel) for channel in rgb))


def amount_legend(title: str, low: float, high: float) -> str:
    """HTML of a colour bar with its two ends."""
    stops = ",".join(css(rgb) for rgb in VIRIDIS)
    return (
        '<div class="legend"><span>' + title + f"</span><span>{low:.3f}</span>"
        f'<i class="bar" style="background:linear-gradient(90deg,{stops})"></i><span>{high:.3f}</span></div>'
    )


def kind_legend(labels: list[str], title: str) -> str:
    """HTML of one swatch per label, in order of the categorical palette."""
    swatches = "".join(
        f'<span><i class="swatch" style="background:{css(KINDS[number % len(KINDS)])}"></i>{label}</span>'
        for number, label in enumerate(labels)
    )
    return f'<div class="legend"><span>{title}</span>{swatches}</div>'
