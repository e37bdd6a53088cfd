"""What each encoder gets of a cluster."""

import pytest

from data.sample import InputError
from pipeline.on_ray.shares import Shares, cpus_of_holders, shares_of

GPU_NODE = {"CPU": 16.0, "GPU": 4.0}


@pytest.mark.parametrize(
    ("nodes", "gpus_per_encoder", "expected"),
    [
        ([{"CPU": 2.0}], None, Shares(1, 1, 0)),
        ([{"CPU": 3.0}], None, Shares(1, 2, 0)),
        ([{"CPU": 16.0}], None, Shares(3, 4, 0)),
        ([{"CPU": 16.0}, {"CPU": 5.0}, {"CPU": 2.0}], None, Shares(4, 4, 0)),
        ([{"CPU": 1.0}, {"CPU": 1.0}], None, Shares(1, 1, 0)),
        ([GPU_NODE], None, Shares(4, 1, 1)),
        ([GPU_NODE], 0.0, Shares(3, 4, 0)),
        ([GPU_NODE], 0.5, Shares(8, 1, 0.5)),
        ([GPU_NODE, {"CPU": 8.0}, {"CPU": 8.0, "GPU": 3.0}], 2.0, Shares(3, 1, 2)),
    ],
)
def test_what_each_encoder_gets(
    nodes: list[dict[str, float]], gpus_per_encoder: float | None, expected: Shares
) -> None:
    assert shares_of(nodes, gpus_per_encoder) == expected


@pytest.mark.parametrize(
    ("nodes", "gpus_per_encoder", "said"),
    [
        ([{"CPU": 1.0}], None, "no CPU is left to decode"),
        ([{"CPU": 4.0, "GPU": 4.0}], None, "no CPU is left to decode"),
        ([{"CPU": 4.0}], 1.0, "no encoder finds the 1 GPUs that it asks for: Ray has 4 CPUs and 0 GPUs"),
        ([GPU_NODE], 8.0, "try --gpus-per-encoder"),
    ],
)
def test_a_cluster_without_room_is_refused(
    nodes: list[dict[str, float]], gpus_per_encoder: float | None, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        shares_of(nodes, gpus_per_encoder)


@pytest.mark.parametrize(
    ("cpus", "count", "expected"),
    [
        ((2,), 2, 1),
        ((8,), 1, 8),
        ((8, 8), 2, 8),
        ((8, 4), 2, 4),
        ((8, 4), 3, 4),
        ((5, 3), 4, 1),
        ((9, 1), 2, 4),
    ],
)
def test_actors_that_hold_shards_are_of_one_size(cpus: tuple[int, ...], count: int, expected: int) -> None:
    assert cpus_of_holders([{"CPU": float(n)} for n in cpus], count) == expected


def test_more_actors_than_cpus_are_refused() -> None:
    with pytest.raises(InputError, match="5 processes are to hold shards, and Ray has 4 CPUs: ask for fewer"):
        cpus_of_holders([{"CPU": 3.0}, {"CPU": 1.0}], 5)
