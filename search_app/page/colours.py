"""Colours of kinds that read the same to colour-blind eyes; those of amounts are in `map/src/colour.ts`."""

import numpy as np

# Tol, "Colour schemes" (2021), muted; apart under every common colour blindness.
KINDS = np.array(
    [
        (51, 34, 136), (136, 204, 238), (68, 170, 153), (17, 119, 51), (153, 153, 51),
        (221, 204, 119), (204, 102, 119), (136, 34, 85), (170, 68, 153),
    ]
)  # (9, 3)  # fmt: skip


def kind_css(kind: int) -> str:
    """The colour of a kind counted from 0, as CSS hex."""
    return "#{:02x}{:02x}{:02x}".format(*KINDS[kind % len(KINDS)].tolist())
