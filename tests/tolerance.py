"""How far two ways to one number may lie apart: by the number format and the depth of the sum, no more.

u is the unit roundoff, half the distance from 1 to the next number: 2**-11, 2**-24 and 2**-53 for float16,
float32 and float64. n roundings in a row change a number by a factor of at most 1 +- gamma(n), gamma(n) =
n u / (1 - n u), whatever the order of a sum and with or without fused multiply-add (Higham, Accuracy and
Stability of Numerical Algorithms, 2nd ed., lemma 3.1 and section 3.1). So a dot product of d terms is off by
at most gamma(d) sum |x_i y_i| <= gamma(d) |x| |y|.

Where no such bound is short to state (a network, a loop of training), both ways are computed in float64 and
compared by `torch.testing.assert_close` (1e-7) or `pytest.approx` (1e-6) as they come: 1e-7 is gamma(9e8),
more roundings than any test makes on the way to one number, and a wrong line changes far more.
"""

import numpy as np
from numpy.typing import DTypeLike


def unit_roundoff(dtype: DTypeLike) -> float:
    """u: the largest relative error of one rounding."""
    return float(np.finfo(dtype).eps) / 2


def gamma(n: int, dtype: DTypeLike = np.float32) -> float:
    """n u / (1 - n u): the largest relative error of n roundings in a row."""
    nu = n * unit_roundoff(dtype)
    assert nu < 1, f"{n} roundings in {np.dtype(dtype)} leave no digit"
    return nu / (1 - nu)


def rounding(dtype: DTypeLike) -> float:
    """How far two roundings of one number lie apart, relative to it."""
    return 2 * unit_roundoff(dtype) / (1 - unit_roundoff(dtype))


def scaling_error(d: int) -> float:
    """Relative error of d numbers scaled to length one: half of the squares' sum, the root, the division."""
    return gamma(d + 3)


def cosine_error(d: int, ways: int = 2, dtype: DTypeLike = np.float32) -> float:
    """How far two computations of one cosine of d numbers lie apart; `ways` = 1 where one of them is exact.

    Each vector is scaled to length one (`scaling_error`), and the dot product is a sum of d.
    """
    return ways * gamma(3 * d + 6, dtype)


def stored(d: int) -> dict[str, float]:
    """`rtol` and `atol` of the d numbers of a vector that was scaled to length one in float32 and stored.

    Below the smallest normal number of float16 the step is 2**-24 whatever the number.
    """
    return {"rtol": unit_roundoff(np.float16) + scaling_error(d), "atol": 2.0**-25}


def stored_length_error(d: int) -> float:
    """How far the length of a unit vector of d numbers moves when stored: at most as each number does."""
    both = stored(d)
    return both["rtol"] + d**0.5 * both["atol"]


def stored_cosine_error(d: int) -> float:
    """How far the cosine of two unit vectors lies from the dot product of one with the other as stored."""
    return stored_length_error(d) + cosine_error(d)
