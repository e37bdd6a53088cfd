"""What is told of two builds; no speed is judged here."""

import numpy as np
import pytest

from benchmarks.pixels import cosines, flops, summary
from encoder.config import preset


class Vectors(dict):  # type: ignore[type-arg]
    """As np.load has it."""

    @property
    def files(self) -> list[str]:
        return list(self)


def test_columns_are_compared_row_by_row_where_both_have_them() -> None:
    before = Vectors(sample_id=np.array(["a", "b", "c"]), embedding=np.array([[1.0, 0], [0, 1], [np.nan, 0]]))
    now = Vectors(sample_id=np.array(["c", "b", "a"]), embedding=np.array([[1.0, 0], [0, 2], [1, 1]]))
    told = cosines(before, now)
    assert told["embedding"]["rows"] == 2
    assert told["embedding"]["least"] == pytest.approx(0.5**0.5)


def test_ratios_are_of_processor_time_round_by_round() -> None:
    rounds = [
        {
            name: {"cpu_ms": cpu, "parts": {"decode": cpu / 2}}
            for name, cpu in (("before", 60.0), ("now", now))
        }
        for now in (20.0, 30.0, 60.0)
    ]
    told = summary(rounds)
    now = told["now"]
    assert (now["least"], now["ratio"], now["most"]) == (1.0, 2.0, 3.0)
    assert told["before"]["ratio"] == 1.0
    assert told["now"]["parts_share"]["decode"] == 0.5
    assert told["before"]["samples_per_cpu_s"] == pytest.approx(1000 / 60)


def test_flops_hold_the_vectors_of_each_sensor() -> None:
    assert flops(preset("nano")) / 1e9 == pytest.approx(3.0, abs=0.5)
