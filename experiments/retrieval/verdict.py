"""Do the vectors clear the bar? Said by the same numbers as the tables, never by hand."""

from collections.abc import Sequence

from .report import Table
from .sheet import Contest, Gain

BAR = ("untrained encoder", "statistics", "RCF")  # candidates that must be beaten, by how their names begin
BAR_CROSS_MODAL = ("untrained encoder", "CCA")
BEYOND = ("raw", "season")  # worth saying, not required
NOTE = (
    "Met: the paired 95 % interval of ours minus the other lies above zero pooled and on a majority of sets, "
    "and below zero on none. Balanced over classes where one holds more than half of the queries. "
    "The raw input and its seasons are beyond the bar."
)


def verdict(contests: Sequence[Contest]) -> Table | None:
    """One line for each contested metric and baseline; None where no such baseline was there."""
    lines = [
        (contest.name, gain.name, gain.pooled, f"{gain.above} / {gain.below} of {len(gain.by_set)}", said)
        for contest in contests
        for gain in contest.gains
        if (said := judgement(contest, gain))
    ]
    header = ("table, metric", "ours minus", "pooled", "sets above / below 0", "bar")
    return Table("Verdict", header, tuple(lines), NOTE) if lines else None


def judgement(contest: Contest, gain: Gain) -> str:
    """What one comparison says of the bar; empty for candidates that it does not name."""
    bar = BAR_CROSS_MODAL if contest.family == "cross-modal" else BAR
    if gain.name.startswith(bar):
        return "met" if stands_above(gain) else "missed"
    if gain.name.startswith(BEYOND):
        return "beyond: ahead" if stands_above(gain) else "beyond: not ahead"
    return ""


def stands_above(gain: Gain) -> bool:
    """Above zero pooled and on a majority of sets, below zero on none."""
    return gain.pooled.low > 0 and 2 * gain.above > len(gain.by_set) and not gain.below
