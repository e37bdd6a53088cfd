"""What marks teach a search: precision after rounds of marks, by rule and by what is marked.

    python -m experiments.feedback --shared ../shared [--k 250] [--most-share 1] [--out FILE.json]

A place of a class is asked for; then, five times, ten rows are marked by their labels, and the search that
all marks teach ranks again. Precision@k is that of rows that are not marked; once more without the rows
within 5 km of a mark, which are like it because they are near: neither found nor marked. Each class that has
rows enough for k to be right after all marks is asked for from places in as many blocks as it has.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data.sphere import on_sphere
from encoder.skysense import SkySense
from indexer.labels.feedback import DRAWN, POOL, Rule, taught_by

from .kept_vectors import read_model
from .recipe import command_line, write_result
from .retrieval.blocks import EXCLUSION_KM, Scores, bootstrap, pooled, within
from .retrieval.embedding import embed_small
from .retrieval.neighbours import unit
from .retrieval.series_sets import read_series
from .retrieval.validation import MAX_DATES, RULES

ROUNDS, MARKS = 5, 10
STARTS = 30  # places that a class is asked for from


@dataclass(frozen=True)
class Protocol:
    """What is measured."""

    k: int  # precision is that of so many rows
    most_share: float  # of a set's rows that a class may have
    seed: int


@dataclass(frozen=True)
class Places:
    """Labelled rows of a set, by one encoder."""

    name: str
    vectors: np.ndarray  # (n, d) norm 1
    label: np.ndarray  # (n,)
    block: np.ndarray  # (n,)
    xyz: np.ndarray  # (n, 3) on the unit sphere


@dataclass(frozen=True)
class Way:
    """A rule, and which rows are marked next."""

    name: str
    rule: Rule
    order: str  # "best", "uncertain", "random", or "mixed": half uncertain, half random


WAYS = (
    Way("linear, uncertain and random", "linear", "mixed"),
    Way("linear, uncertain first", "linear", "uncertain"),
    Way("linear, best first", "linear", "best"),
    Way("linear, random marks", "linear", "random"),
    Way("Rocchio, best first", "rocchio", "best"),
    Way("Rocchio, random marks", "rocchio", "random"),
)


def read_places(path: Path, model: SkySense) -> Places:
    """A set of labelled series, embedded; rows that show the encoder nothing are left out."""
    series = read_series(path, RULES)
    made = embed_small(model, series.samples(model.config.px_per_cell, MAX_DATES)).fused
    seen = np.isfinite(made).all(axis=1)
    pixels = series.pixels.take(seen)
    return Places(
        path.stem,
        unit(made[seen]).astype(np.float64),
        series.label[seen],
        pixels.block,
        on_sphere(pixels.lon_deg, pixels.lat_deg),
    )


def starts(places: Places, name: str, count: int, seed: int) -> np.ndarray:
    """Rows of a class, one of each block in turn, in a drawn order."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(np.flatnonzero(places.label == name))
    turn = {block: iter(rows[places.block[rows] == block]) for block in dict.fromkeys(places.block[rows])}
    drawn: list[int] = []
    while len(drawn) < min(count, len(rows)):
        drawn += [int(row) for row in (next(of_block, None) for of_block in turn.values()) if row is not None]
    return np.array(drawn[:count])


def precisions(places: Places, start: int, way: Way, apart_km: float, asked: Protocol) -> Iterator[float]:
    """Precision before the first round and after each; NaN where fewer than k rows are left."""
    rng = np.random.default_rng([asked.seed, start])
    is_right = places.label == places.label[start]
    wanted = places.vectors[[start]]
    marked, direction, border = [start], wanted[0], None
    for _ in range(ROUNDS + 1):
        similarity = places.vectors @ direction
        free = _free(places, marked, apart_km)
        best = free[np.argsort(-similarity[free], kind="stable")]
        yield float(is_right[best[: asked.k]].mean()) if len(best) >= asked.k else np.nan
        marked = [*marked, *_next(way, best, abs(similarity - border) if border is not None else None, rng)]
        right, wrong = (
            places.vectors[[row for row in marked[1:] if is_right[row] == so]] for so in (True, False)
        )
        if len(wrong):
            direction, border = taught_by(wanted, right, wrong, way.rule)
        else:
            direction = unit(np.concatenate([wanted, right]).mean(axis=0, keepdims=True))[0].astype(
                np.float64
            )


def _next(way: Way, best: np.ndarray, doubt: np.ndarray | None, rng: np.random.Generator) -> list[int]:
    """The rows to mark, of those that may be found, best first; `doubt` (n,) is least at the border."""
    likely = best[: POOL * MARKS]
    if doubt is not None and way.order in ("uncertain", "mixed"):
        likely = likely[np.argsort(doubt[likely], kind="stable")]
    drawn = {"random": MARKS, "mixed": int(DRAWN * MARKS)}.get(way.order, 0)
    first = likely[: MARKS - drawn].tolist()
    return [*first, *rng.permutation(np.setdiff1d(best, first))[:drawn].tolist()]


def _free(places: Places, marked: list[int], apart_km: float) -> np.ndarray:
    """Rows that may be found: not marked, and so far from all that are."""
    taken = np.isin(np.arange(len(places.label)), marked)
    if apart_km:
        taken |= np.asarray(within(places.xyz, places.xyz[marked], apart_km).any(axis=1))
    return np.flatnonzero(~taken)


def measure(places: Places, name: str, apart_km: float, asked: Protocol) -> dict[str, list[Scores]]:
    """By way, the precision of each round over the starts of a class that leave k rows in all ways."""
    rows = starts(places, name, STARTS, asked.seed)
    each = np.array(
        [[[*precisions(places, row, way, apart_km, asked)] for row in rows] for way in WAYS]
    )  # (ways, starts, rounds)
    kept = np.isfinite(each).all(axis=(0, 2))
    block = places.block[rows[kept]]
    return {
        way.name: [Scores.plain(values, block) for values in of_way[kept].T]
        for way, of_way in zip(WAYS, each, strict=True)
        if kept.any()
    }


def table(sets: list[Places], asked: Protocol) -> list[dict[str, Any]]:
    """A line for each way and distance: of each class, pooled over classes, and what the first way gains."""
    lines = []
    for apart_km in (0.0, EXCLUSION_KM):
        measured = {
            f"{places.name}/{name}": measure(places, name, apart_km, asked)
            for places in sets
            for name in asked_for(places, asked)
        }
        measured = {name: of_ways for name, of_ways in measured.items() if of_ways}
        for way in WAYS:
            of_sets = {name: of_ways[way.name] for name, of_ways in measured.items()}
            for name, rounds in of_sets.items():
                lines.append(
                    _line(way, apart_km, name, [bootstrap(scores, seed=asked.seed) for scores in rounds])
                )
            each = [
                pooled([rounds[i] for rounds in of_sets.values()], seed=asked.seed) for i in range(ROUNDS + 1)
            ]
            lines.append(_line(way, apart_km, "pooled", each))
            if way is not WAYS[0]:
                first = {name: of_ways[WAYS[0].name][-1] for name, of_ways in measured.items()}
                gain = [first[name].minus(rounds[-1]) for name, rounds in of_sets.items()]
                lines.append(
                    _line(way, apart_km, f"{WAYS[0].name} minus this", [pooled(gain, seed=asked.seed)])
                )
    return lines


def asked_for(places: Places, asked: Protocol) -> list[str]:
    """The classes with rows enough, and not too many."""
    names, counts = np.unique(places.label, return_counts=True)
    enough = counts >= asked.k + ROUNDS * MARKS + 1
    return [str(name) for name in names[enough & (counts <= asked.most_share * len(places.label))]]


def _line(way: Way, apart_km: float, name: str, rounds: list[Any]) -> dict[str, Any]:
    numbers = [[round(float(x), 4) for x in (one.mean, one.low, one.high)] for one in rounds]
    print(f"{apart_km:g} km, {way.name:25} {name:45}", *(f"{mean:.3f}" for mean, _, _ in numbers), flush=True)
    return {"way": way.name, "apart_km": apart_km, "of": name, "rounds": numbers}


def main() -> None:
    """The command line."""
    parser = command_line(__doc__)
    parser.add_argument("--weights", default="nano")
    parser.add_argument("--k", type=int, default=250)
    parser.add_argument("--most-share", type=float, default=1.0, help="of a set that a class may have")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    asked = Protocol(arguments.k, arguments.most_share, arguments.seed)
    model = read_model(arguments.weights)
    sets = [read_places(path, model) for path in sorted((arguments.shared / "eval").glob("*.parquet"))]
    result = {
        "weights": arguments.weights,
        **asdict(asked),
        "marks": MARKS,
        "starts": STARTS,
        "share_of_class": {
            f"{places.name}/{name}": round(float((places.label == name).mean()), 4)
            for places in sets
            for name in asked_for(places, asked)
        },
        "lines": table(sets, asked),
    }
    write_result(result, arguments.out)


if __name__ == "__main__":
    main()
