"""What a report says of each sensor alone, on vectors whose figures are known."""

import numpy as np
import pytest

from experiments.retrieval.baselines import colour_histogram, half_whitened, half_whitening
from experiments.retrieval.embedding import Embedded
from experiments.retrieval.sensors import Seen, ranks, sensor_lines, sensor_table, subset_share

D = 4


def axes(n: int, at: int, sign: float = 1.0) -> np.ndarray:
    """n vectors forth and back along all axes, leaning to one."""
    even = np.tile(np.concatenate([np.eye(D), -np.eye(D)]), (n // (2 * D), 1))
    even[:, at] += sign * 3
    return even.astype(np.float32)


def two_sensors(n: int) -> Embedded:
    return Embedded(axes(n, 0), {"s2": axes(n, 0), "s1": axes(n, 1)}, 0.0)


def test_lines_of_each_sensor_of_their_gap_and_of_neighbours() -> None:
    lines = sensor_lines("set", two_sensors(1_000), 0)
    named = {str(line[1]): line for line in lines}
    assert list(named)[:3] == ["fused", "s2", "s1"]
    assert named["s1"][2] == 1_000
    assert float(named["s1"][4]) > 0.9  # a narrow cone
    assert any(name.startswith("gap s2 - s1") for name in named)
    assert named["neighbours of the same subset"][0] == "set"


def test_few_rows_have_no_rank() -> None:
    assert np.isnan(float(sensor_lines("set", two_sensors(80), 0)[0][3]))
    assert ranks([two_sensors(80)]) == {}
    together = ranks([two_sensors(640), two_sensors(640)])
    assert set(together) == {"embedding", "embedding_s1", "embedding_s2"}
    assert 1 < together["embedding"] <= D


def test_sensors_that_keep_to_themselves_are_seen() -> None:
    rng = np.random.default_rng(0)
    noise = [rng.normal(0, 0.1, (200, D)).astype(np.float32) for _ in range(3)]
    fused, s2, s1 = (part + np.eye(D, dtype=np.float32)[i] for i, part in enumerate(noise))
    apart = subset_share(Embedded(fused, {"s2": s2, "s1": s1}, 0.0), 0)
    mixed = subset_share(Embedded(noise[0], {"s2": noise[1], "s1": noise[2]}, 0.0), 0)
    assert apart is not None
    assert mixed is not None
    assert apart[1] > 0.95
    assert mixed[1] == pytest.approx(mixed[2], abs=0.1)


def test_several_sets_have_a_line_for_all() -> None:
    table = sensor_table([Seen("a", two_sensors(80)), Seen("b", two_sensors(80))], 0)
    assert table is not None
    assert [line[0] for line in table.rows if line[1] == "fused"] == ["a", "b", "all"]


def test_half_whitening_leaves_the_root_of_each_deviation() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4_000, 3)) * [16, 4, 1] + 5
    mean, maps = half_whitening(x, np.ones(len(x)), 3)
    assert ((x - mean) @ maps).std(axis=0) == pytest.approx([4, 2, 1], rel=0.05)
    found = half_whitened(x.astype(np.float32), np.arange(2_000))
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(len(x)), abs=1e-5)


def test_a_histogram_counts_each_pixel_once_a_channel_and_once_jointly() -> None:
    image = np.zeros((3, 2, 2), np.uint8)
    image[0, 0, 0] = 255
    counts = colour_histogram(image) ** 2 * 4
    assert counts[:8].tolist() == pytest.approx([3, 0, 0, 0, 0, 0, 0, 1])
    assert counts[24:].sum() == pytest.approx(4)
    assert counts[24 + 48] == pytest.approx(1)
