"""The simulation's pixels are those of `VERSION`: who changes them raises it, and writes what follows anew.

`python -m tests.data.test_simulate_version` prints the numbers.
"""

import textwrap

import numpy as np
import pytest

from data.simulate import HILLS, PLAIN, Area
from data.simulate.catalog import VERSION
from data.simulate.landscape import Landscape, make_landscape
from data.simulate.scenes import high_resolution, sentinel_1, sentinel_2
from data.simulate.surface import MATERIALS, Units

DAYS = tuple(range(10, 366, 30))
AREAS = (Area("tiny-plain", 2.759, 49.749, 1280, PLAIN), Area("tiny-hills", 12.441, -47.991, 1280, HILLS))


def of_materials() -> dict[str, list[float]]:
    """Of a middling unit of each: mean reflectance and VV, VH in dB, by day where it has a calendar."""
    n = len(MATERIALS)
    zero, one = np.zeros(n, np.float32), np.ones(n, np.float32)
    units = Units(np.arange(n, dtype=np.uint8), zero, zero, one, one, zero)
    bright = np.array([units.reflectance(day).mean(axis=1) for day in DAYS]).T
    decibel = np.array([10 * np.log10(units.backscatter(day, 0.5)).mean(axis=1) for day in DAYS]).T
    days = [len(DAYS) if m.calendar else 1 for m in MATERIALS]
    return {m.name: [*bright[i][: days[i]], *decibel[i][: days[i]]] for i, m in enumerate(MATERIALS)}


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


def of_ground(land: Landscape) -> dict[str, list[float]]:
    """Pixels of 2.5 m of each material in the north west, north east, south west and south east."""
    material, half = land.units.material[land.unit], len(land.unit) // 2
    quarters = [material[y : y + half, x : x + half] for y in (0, half) for x in (0, half)]
    counts = np.array([np.bincount(q.ravel(), minlength=len(MATERIALS)) for q in quarters])
    return {f"{land.area.name} {m.name} px": counts[:, i].tolist() for i, m in enumerate(MATERIALS)}


def everything() -> dict[str, list[float]]:
    made = of_materials()
    for area in AREAS:
        land = make_landscape(area, seed=3)
        made |= of_scenes(land) | of_ground(land)
    return {name: [float(f"{value:.6g}") for value in values] for name, values in made.items()}


def test_pixels_are_those_of_the_version() -> None:
    """Sums of float32 in another order move a value, and a few pixels over a threshold."""
    assert VERSION == 1
    made = everything()
    assert made.keys() == KNOWN.keys()
    for name, known in KNOWN.items():
        counted = name.endswith((" scl", " cover", " px"))
        rel, least = (0.0, 4) if counted else (1e-4, 1e-6)
        assert made[name] == pytest.approx(known, rel=rel, abs=least), name


# fmt: off
KNOWN: dict[str, list[float]] = {
    'broadleaf': [0.123628, 0.123628, 0.123635, 0.126376, 0.162088, 0.163369, 0.163372, 0.163372,
        0.163373, 0.163479, 0.164827, 0.141303, -10.874, -10.874, -10.8741, -10.9122, -11.4082, -11.426,
        -11.426, -11.426, -11.4259, -11.4073, -11.1635, -10.9844],
    'conifer': [0.0928189, 0.0927808, 0.0926224, 0.0920942, 0.0911269, 0.0904201, 0.0901742, 0.0901123,
        0.0900981, 0.0900949, 0.0900942, 0.090094, -12.2252, -12.2257, -12.228, -12.2358, -12.2499,
        -12.2602, -12.2638, -12.2647, -12.2649, -12.265, -12.265, -12.265],
    'grassland': [0.196667, 0.196786, 0.197583, 0.19967, 0.200757, 0.20098, 0.201148, 0.201621, 0.203038,
        0.207064, 0.211589, 0.212117, -15.7129, -15.716, -15.7369, -15.7914, -15.8193, -15.8231, -15.8208,
        -15.8118, -15.7855, -15.7397, -15.7356, -15.7253],
    'winter cereal': [0.188399, 0.188612, 0.191478, 0.205884, 0.213546, 0.214402, 0.218986, 0.195462,
        0.187377, 0.17693, 0.184559, 0.188194, -16.2271, -16.2429, -16.455, -17.5215, -18.0885, -18.1176,
        -17.0882, -15.8992, -15.6394, -15.3495, -15.9422, -16.2119],
    'maize': [0.1752, 0.1752, 0.1752, 0.175205, 0.175394, 0.181657, 0.201993, 0.204178, 0.206784,
        0.208161, 0.193153, 0.177952, -14.8, -14.8, -14.8, -14.7997, -14.7872, -14.3724, -13.0257,
        -12.8861, -13.0266, -14.0185, -14.4238, -14.7425],
    'rapeseed': [0.193775, 0.194269, 0.199656, 0.212887, 0.230968, 0.214574, 0.219508, 0.195284, 0.188033,
        0.191898, 0.19366, 0.193737, -13.9081, -13.8818, -13.5941, -12.9636, -12.8218, -12.8413, -13.665,
        -14.4317, -14.4876, -14.0196, -13.9146, -13.9102],
    'fallow': [0.1752, -15.45],
    'lake': [0.0137, -25],
    'river': [0.0249, -23.4],
    'gravel pit': [0.2764, -16.75],
    'track': [0.2764, -16.75],
    'tiled roof': [0.1915, -3.75],
    'slate roof': [0.137, -3.75],
    'metal roof': [0.3038, -3],
    'asphalt': [0.1107, -17.25],
    'lawn': [0.192408, 0.192749, 0.194713, 0.198134, 0.19933, 0.199536, 0.199671, 0.20004, 0.201168,
        0.204513, 0.211279, 0.212609, -14.1504, -14.1534, -14.1705, -14.2004, -14.2107, -14.212, -14.2114,
        -14.2091, -14.2021, -14.1891, -14.1972, -14.1886],
    'garden tree': [0.123628, 0.123628, 0.123635, 0.126376, 0.162088, 0.163369, 0.163372, 0.163372,
        0.163373, 0.163479, 0.164827, 0.141303, -10.28, -10.28, -10.2801, -10.3277, -10.9477, -10.9699,
        -10.97, -10.97, -10.9698, -10.9466, -10.6419, -10.418],
    'tiny-plain s2': [1061.46, 1687.6, 1317.72, 1558.6, 1217.04, 1576.73, 1618.13, 1361.83, 2808.4,
        1242.3, 3328.82, 1319.3, 3510.26, 1425.59, 3668.37, 1352.97, 2300.07, 806.816, 1475.61, 768.201],
    'tiny-plain s1 ascending': [-12.3183, 3.71084, -18.8439, 3.58988],
    'tiny-plain s1 descending': [-12.114, 3.49951, -18.6218, 3.58761],
    'tiny-plain hr': [85.4063, 28.794, 97.9071, 19.5095, 73.4078, 21.1347],
    'tiny-plain scl': [0, 0, 0, 468, 2261, 526, 38, 0, 196, 321, 286],
    'tiny-plain cover': [0, 1778, 132, 3662, 3994, 2379, 1685, 575, 1726, 453],
    'tiny-plain elevation': [0, 11.3428, 24.9998, 4.73109],
    'tiny-plain broadleaf px': [10418, 5976, 1665, 10443],
    'tiny-plain conifer px': [548, 0, 1, 1544],
    'tiny-plain grassland px': [15222, 6899, 11659, 25000],
    'tiny-plain winter cereal px': [20474, 11752, 26577, 4470],
    'tiny-plain maize px': [12587, 14878, 6357, 4321],
    'tiny-plain rapeseed px': [2640, 4706, 8185, 11226],
    'tiny-plain fallow px': [649, 1236, 5018, 0],
    'tiny-plain lake px': [0, 0, 176, 0],
    'tiny-plain river px': [469, 0, 3526, 4705],
    'tiny-plain gravel pit px': [0, 0, 170, 0],
    'tiny-plain track px': [224, 358, 0, 395],
    'tiny-plain tiled roof px': [110, 1043, 115, 176],
    'tiny-plain slate roof px': [39, 1491, 41, 69],
    'tiny-plain metal roof px': [139, 930, 138, 234],
    'tiny-plain asphalt px': [1273, 7089, 1236, 1824],
    'tiny-plain lawn px': [596, 7222, 531, 900],
    'tiny-plain garden tree px': [148, 1956, 141, 229],
    'tiny-hills s2': [1020.95, 1703.56, 1183.75, 1616.42, 1222.7, 1593.77, 1510.63, 1475.47, 2127.24,
        1542.99, 2412.49, 1615.93, 2555.16, 1747.68, 2685.77, 1697.32, 2037.96, 1259.18, 1375.71, 947.49],
    'tiny-hills s1 ascending': [-11.9903, 4.1098, -18.582, 4.44709],
    'tiny-hills s1 descending': [-12.2061, 4.25842, -18.9212, 4.48812],
    'tiny-hills hr': [87.9823, 41.7905, 86.9164, 36.5757, 69.2431, 27.2453],
    'tiny-hills scl': [0, 0, 0, 500, 2267, 449, 77, 0, 196, 321, 286],
    'tiny-hills cover': [0, 2688, 3634, 5775, 1196, 1234, 356, 762, 629, 110],
    'tiny-hills elevation': [0, 120.469, 255.225, 51.8598],
    'tiny-hills broadleaf px': [4153, 15371, 3666, 20407],
    'tiny-hills conifer px': [21665, 12507, 19185, 4374],
    'tiny-hills grassland px': [18999, 24219, 22113, 25978],
    'tiny-hills winter cereal px': [3840, 3877, 7146, 4572],
    'tiny-hills maize px': [5608, 3005, 5801, 5697],
    'tiny-hills rapeseed px': [221, 321, 5175, 105],
    'tiny-hills fallow px': [272, 165, 0, 140],
    'tiny-hills lake px': [8209, 97, 16, 0],
    'tiny-hills river px': [734, 310, 658, 1643],
    'tiny-hills gravel pit px': [0, 0, 0, 490],
    'tiny-hills track px': [143, 556, 287, 459],
    'tiny-hills tiled roof px': [43, 285, 50, 35],
    'tiny-hills slate roof px': [18, 166, 19, 16],
    'tiny-hills metal roof px': [0, 0, 0, 0],
    'tiny-hills asphalt px': [1297, 1818, 1011, 1217],
    'tiny-hills lawn px': [276, 2253, 326, 319],
    'tiny-hills garden tree px': [58, 586, 83, 84],
}
# fmt: on

if __name__ == "__main__":
    for name, values in everything().items():
        line = ", ".join(f"{value:g}" for value in values)
        print(textwrap.fill(f"{name!r}: [{line}],", 106, initial_indent=" " * 4, subsequent_indent=" " * 8))
