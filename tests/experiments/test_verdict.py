"""The bar is met by what lies above zero, and by nothing else."""

import pytest

from experiments.retrieval.blocks import Interval
from experiments.retrieval.sheet import Contest, Gain
from experiments.retrieval.summary import all_sets
from experiments.retrieval.verdict import judgement, stands_above, verdict

ABOVE, AROUND, BELOW = Interval(0.1, 0.05, 0.15), Interval(0.0, -0.1, 0.1), Interval(-0.1, -0.2, -0.05)


def gain(*by_set: Interval, pooled: Interval = ABOVE, name: str = "RCF, Gaussian") -> Gain:
    return Gain(name, pooled, {str(i): interval for i, interval in enumerate(by_set)})


def contest(*gains: Gain, family: str = "zero-shot") -> Contest:
    return Contest(family, "", "mAP@20", {}, gains)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (gain(ABOVE, ABOVE, AROUND), True),
        (gain(ABOVE, AROUND), False),  # half is no majority
        (gain(ABOVE, ABOVE, ABOVE, BELOW), False),
        (gain(ABOVE, ABOVE, pooled=AROUND), False),
        (gain(Interval(0.5, float("nan"), float("nan"))), False),  # one block has no interval
    ],
)
def test_the_bar(found: Gain, expected: bool) -> None:
    assert stands_above(found) == expected
    assert judgement(contest(), found) == ("met" if expected else "missed")


def test_the_raw_input_is_beyond_the_bar_and_floors_are_not_judged() -> None:
    assert judgement(contest(), gain(ABOVE, name="raw series")) == "beyond: ahead"
    assert judgement(contest(), gain(BELOW, name="raw pixels")) == "beyond: not ahead"
    assert judgement(contest(), gain(ABOVE, name="season, whitened")) == "beyond: ahead"
    assert judgement(contest(), gain(ABOVE, name="chance")) == ""
    assert judgement(contest(family="cross-modal"), gain(ABOVE, name="CCA of raw series")) == "met"
    assert judgement(contest(family="probes"), gain(ABOVE, name="CCA of raw series")) == ""


def test_every_judged_baseline_has_a_line() -> None:
    table = verdict([contest(gain(ABOVE), gain(BELOW, name="chance")), contest(gain(BELOW, pooled=BELOW))])
    assert table is not None
    assert [row[-2:] for row in table.rows] == [("1 / 0 of 1", "met"), ("0 / 1 of 1", "missed")]
    assert verdict([contest(gain(ABOVE, name="chance"))]) is None


def test_a_set_counts_once_for_each_kind_of_baseline() -> None:
    def line(name: str, above: int, below: int) -> dict[str, object]:
        return {
            "name": name,
            "sets_above_zero": above,
            "sets_below_zero": below,
            "by_set": dict.fromkeys("abc"),
        }

    names = (
        "raw series",
        "raw series, half whitened",
        "raw S1, half whitened",
        "season, whitened",
        "season S2, whitened",
    )
    series = [line(name, i + 1, 0) for i, name in enumerate(names)]
    contests = [{"name": "zero-shot, mAP@20", "gains": series}]
    chips = [{"name": "zero-shot, mAP@20", "gains": [line("raw pixels", 0, 2)]}]
    table = all_sets({"series": {"contests": contests}, "chips": {"contests": chips}})
    assert {row[1]: row[2] for row in table.rows} == {
        "raw": "1 / 2 of 6",
        "raw series, half whitened": "2 / 0 of 3",
        "season, whitened": "4 / 0 of 3",
    }
