"""The simulation's pixels are those of `VERSION`: who changes them raises it, and writes what follows anew.

`python -m tests.data.test_simulate_version` prints the numbers.
"""

import numpy as np
import pytest

from data.simulate import HILLS, PLAIN, Area
from data.simulate.catalog import VERSION
from data.simulate.landscape import Landscape, make_landscape
from data.simulate.scenes import high_resolution, sentinel_1, sentinel_2
from data.simulate.surface import MATERIALS, Units

DAYS = (20, 125, 190, 270)
AREAS = (Area("tiny-plain", 2.759, 49.749, 1280, PLAIN), Area("tiny-hills", 12.441, -47.991, 1280, HILLS))


def of_materials() -> dict[str, list[float]]:
    """Of a middling unit of each: mean reflectance and VV, VH in dB, by day."""
    n = len(MATERIALS)
    zero, one = np.zeros(n, np.float32), np.ones(n, np.float32)
    units = Units(np.arange(n, dtype=np.uint8), zero, zero, one, one, zero)
    bright = np.array([units.reflectance(day).mean(axis=1) for day in DAYS]).T
    decibel = np.array([10 * np.log10(units.backscatter(day, 0.5)).mean(axis=1) for day in DAYS]).T
    return {m.name: [*bright[i], *decibel[i]] for i, m in enumerate(MATERIALS)}


def of_scenes(land: Landscape) -> dict[str, list[float]]:
    """Mean and deviation of each band; shares of classes and covers."""
    rng = np.random.default_rng(7)
    s2, scl = sentinel_2(land, 125, 0.15, rng)
    seen = {
        "s2": s2,
        "s1 ascending": sentinel_1(land, 125, True, rng),
        "s1 descending": sentinel_1(land, 190, False, rng),
        "hr": high_resolution(land, 166, rng),
    }
    name = land.area.name
    made = {
        f"{name} {kind}": [f(band) for band in pixels.astype(float) for f in (np.mean, np.std)]
        for kind, pixels in seen.items()
    }
    made[f"{name} scl"] = np.bincount(scl.ravel(), minlength=11).tolist()
    made[f"{name} cover"] = np.bincount(land.cover().ravel(), minlength=10).tolist()
    made[f"{name} elevation"] = [f(land.elevation_m.astype(float)) for f in (np.min, np.mean, np.max, np.std)]
    return made


def everything() -> dict[str, list[float]]:
    made = of_materials()
    for area in AREAS:
        made |= of_scenes(make_landscape(area, seed=3))
    return {name: [float(f"{value:.6g}") for value in values] for name, values in made.items()}


def test_pixels_are_those_of_the_version() -> None:
    """Sums of float32 in another order move a value, and a few pixels over a threshold."""
    assert VERSION == 1
    made = everything()
    assert made.keys() == KNOWN.keys()
    for name, known in KNOWN.items():
        counted = name.endswith((" scl", " cover"))
        rel, least = (0.0, 0.001 * sum(known)) if counted else (1e-3, 1e-6)
        assert made[name] == pytest.approx(known, rel=rel, abs=least), name


# fmt: off
KNOWN: dict[str, list[float]] = {
    'broadleaf': [0.123628, 0.160066, 0.163372, 0.163394, -10.874, -11.3801, -11.426, -11.4223],
    'conifer': [0.0928117, 0.0912919, 0.0901742, 0.0900955, -12.2253, -12.2475, -12.2638, -12.265],
    'grassland': [0.196684, 0.200672, 0.201148, 0.20521, -15.7134, -15.8173, -15.8208, -15.7534],
    'winter cereal': [0.188421, 0.213109, 0.218986, 0.177751, -16.2288, -18.0563, -17.0882, -15.3467],
    'maize': [0.1752, 0.175304, 0.201993, 0.216931, -14.8, -14.7931, -13.0257, -13.6109],
    'rapeseed': [0.193828, 0.233619, 0.219508, 0.189569, -13.9053, -12.8282, -13.665, -14.1702],
    'fallow': [0.1752, 0.1752, 0.1752, 0.1752, -15.45, -15.45, -15.45, -15.45],
    'lake': [0.0137, 0.0137, 0.0137, 0.0137, -25.0, -25.0, -25.0, -25.0],
    'river': [0.0249, 0.0249, 0.0249, 0.0249, -23.4, -23.4, -23.4, -23.4],
    'gravel pit': [0.2764, 0.2764, 0.2764, 0.2764, -16.75, -16.75, -16.75, -16.75],
    'track': [0.2764, 0.2764, 0.2764, 0.2764, -16.75, -16.75, -16.75, -16.75],
    'tiled roof': [0.1915, 0.1915, 0.1915, 0.1915, -3.75, -3.75, -3.75, -3.75],
    'slate roof': [0.137, 0.137, 0.137, 0.137, -3.75, -3.75, -3.75, -3.75],
    'metal roof': [0.3038, 0.3038, 0.3038, 0.3038, -3.0, -3.0, -3.0, -3.0],
    'asphalt': [0.1107, 0.1107, 0.1107, 0.1107, -17.25, -17.25, -17.25, -17.25],
    'lawn': [0.192458, 0.199247, 0.199671, 0.202954, -14.1509, -14.21, -14.2114, -14.1932],
    'garden tree': [0.123628, 0.160066, 0.163372, 0.163394, -10.28, -10.9126, -10.97, -10.9653],
    'tiny-plain s2': [1061.46, 1687.6, 1317.72, 1558.6, 1217.04, 1576.73, 1618.13, 1361.83, 2808.4, 1242.3,
        3328.82, 1319.3, 3510.26, 1425.59, 3668.37, 1352.97, 2300.07, 806.816, 1475.61, 768.201],
    'tiny-plain s1 ascending': [-12.3183, 3.71084, -18.8439, 3.58988],
    'tiny-plain s1 descending': [-12.114, 3.49951, -18.6218, 3.58761],
    'tiny-plain hr': [85.4063, 28.794, 97.9071, 19.5095, 73.4078, 21.1347],
    'tiny-plain scl': [0.0, 0.0, 0.0, 468.0, 2261.0, 526.0, 38.0, 0.0, 196.0, 321.0, 286.0],
    'tiny-plain cover': [0.0, 1778.0, 132.0, 3662.0, 3994.0, 2379.0, 1685.0, 575.0, 1726.0, 453.0],
    'tiny-plain elevation': [0.0, 11.3428, 24.9998, 4.73109],
    'tiny-hills s2': [1020.95, 1703.56, 1183.75, 1616.42, 1222.7, 1593.77, 1510.63, 1475.47, 2127.24,
        1542.99, 2412.49, 1615.93, 2555.16, 1747.68, 2685.77, 1697.32, 2037.96, 1259.18, 1375.71, 947.49],
    'tiny-hills s1 ascending': [-11.9903, 4.1098, -18.582, 4.44709],
    'tiny-hills s1 descending': [-12.2061, 4.25842, -18.9212, 4.48812],
    'tiny-hills hr': [87.9823, 41.7905, 86.9164, 36.5757, 69.2431, 27.2453],
    'tiny-hills scl': [0.0, 0.0, 0.0, 500.0, 2267.0, 449.0, 77.0, 0.0, 196.0, 321.0, 286.0],
    'tiny-hills cover': [0.0, 2688.0, 3634.0, 5775.0, 1196.0, 1234.0, 356.0, 762.0, 629.0, 110.0],
    'tiny-hills elevation': [0.0, 120.469, 255.225, 51.8598],
}
# fmt: on

if __name__ == "__main__":
    for name, values in everything().items():
        print(f"    {name!r}: {values},")
