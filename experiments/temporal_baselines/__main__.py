"""Every model, every seed, one budget: a report with intervals over places.

    python -m experiments.temporal_baselines landscape|FILE.parquet|catalog.json --folder RUNS

Runs lie in the folder and go on where they were stopped. No run sees an asked place.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from encoder.training.supervised import Budget

from ..retrieval.report import Report, Table, to_markdown, write_report
from ..retrieval.series_sets import SensorRules
from ..retrieval.sheet import Row, Sheet
from ..tasks import confusion
from ..tasks.set_measure import over_seeds
from .series_data import SeriesData, patch_data, pixel_data, simulated_places
from .train import MODELS, counts_of, make_model, parameters, train

LANDSCAPE = "landscape"
MEASURES = {"mIoU": confusion.mean_iou(), "mF1": confusion.mean_f1(), "OA": confusion.accuracy}


@dataclass(frozen=True)
class Question:
    """The asked series, as a table tells of them."""

    name: str
    classes: tuple[str, ...]
    notes: tuple[str, ...]
    query_block: np.ndarray
    database_size: int
    majority_share: float
    is_balanced: bool = False

    @property
    def queries(self) -> np.ndarray:
        return np.arange(len(self.query_block))


def compare(data: SeriesData, budget: Budget, seeds: int, folder: Path) -> Sheet:
    """The factorised encoder first; the same seeds and seconds for each."""
    rows, counts = [], np.zeros(0)
    for name in MODELS:
        each = []
        for seed in range(seeds):
            model = train(name, data, seed, budget, folder / data.name / f"{name}-{seed}.pt")
            counts = counts_of(model, data)
            each.append(
                {m: confusion.measure(counts, data.place[data.asked], of) for m, of in MEASURES.items()}
            )
        scores = {m: over_seeds([one[m] for one in each]) for m in MEASURES}
        label = f"{name} ({parameters(make_model(name, data, 0)):,} parameters)"
        rows.append(Row(label, scores))
    share = counts.sum(axis=(0, 2))
    note = f"{budget.words} a run on one core, {seeds} seeds, scores averaged over them"
    question = Question(
        data.name,
        data.classes,
        (note,),
        data.place[data.asked],
        int((~data.asked).sum()),
        float(share.max() / share.sum()),
    )
    return Sheet("temporal baselines", question, tuple(rows), "", ("mIoU",))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("inputs", nargs="+", help=f"{LANDSCAPE}: simulated, drawn in the folder")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=Budget.seconds)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--side", type=int, default=16, help="of a patch, pixels")
    parser.add_argument("--at-most", type=int, default=2000, help="pixel series of each part")
    parser.add_argument("--report", type=Path)
    told = parser.parse_args()
    torch.set_num_threads(1)
    rules = SensorRules.parse(["B8A=B08"], True)
    budget = Budget(told.seconds)

    def read(given: str) -> SeriesData:
        path = simulated_places(told.folder / given) if given == LANDSCAPE else Path(given)
        patches = path.suffix == ".json"
        return patch_data(path, told.side, rules) if patches else pixel_data(path, told.at_most, 0, rules)

    data = [read(given) for given in told.inputs]
    sheets = tuple(compare(one, budget, told.seeds, told.folder) for one in data)
    model = {"name": "factorised", "digest": "", "trained": True}
    tables: tuple[Table, ...] = ()
    report = Report("temporal baselines", model, {"seed": 0, "seconds": told.seconds}, tuple(sheets), tables)
    print(to_markdown(report))
    if told.report:
        write_report(report, told.report)


if __name__ == "__main__":
    main()
