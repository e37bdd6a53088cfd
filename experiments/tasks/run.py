"""One set -> its tables: what `skyhex eval task` does."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from data.sample import InputError
from data.simulate import HILLS, PLAIN, Area, simulate
from data.simulate.catalog import VERSION

from ..datasets.about import About
from ..datasets.catalog import PLACES, set_of
from ..datasets.labelled_places import places_set
from ..retrieval.blocks import Measured
from ..retrieval.each import Each
from ..retrieval.options import Encoders, Options
from ..retrieval.report import Report
from ..retrieval.sheet import Row, Sheet, contests
from ..retrieval.verdict import verdict
from .change import JOININGS, Change, SemanticChange
from .classification import Classification
from .detection import Detection
from .features import Features, Source, sources_of, timed
from .judges import Judge, Table
from .question import Asked, TaskOptions, ask, check_counts
from .segmentation import Segmentation
from .set_measure import over_seeds
from .tuning import TUNING, Tuning, check_tunable, tuned

AREA_M = 1280.0  # side of a simulated area


def named_set(name: str, folder: Path, encoders: Encoders, options: Options) -> About:
    """A published set, or `places`: the STAC catalog at `folder`.

    Raises:
        InputError: no set has this name.
    """
    return places_set(folder, encoders.spec, options.rules) if name == PLACES else set_of(name)


def evaluate_places(
    catalogs: Sequence[Path],
    encoders: Encoders,
    options: Options,
    each: Each,
    *,
    max_train: int,
    max_test: int,
) -> Report:
    """Segmentation of the labelled places of catalogs."""
    sets = [(places_set(catalog, encoders.spec, options.rules), catalog) for catalog in catalogs]
    return evaluate_task(sets, encoders, options, TaskOptions(max_train=max_train, max_test=max_test))


def evaluate_published(
    folders: Sequence[Path],
    encoders: Encoders,
    options: Options,
    each: Each,
    *,
    max_train: int,
    max_test: int,
) -> Report:
    """Published sets, each in a folder of its name."""
    sets = [(set_of(folder.name), folder) for folder in folders]
    return evaluate_task(sets, encoders, options, TaskOptions(max_train=max_train, max_test=max_test))


def evaluate_simulated(
    paths: Sequence[Path],
    encoders: Encoders,
    options: Options,
    each: Each,
    *,
    areas: int,
    version: int,
    max_train: int,
    max_test: int,
) -> Report:
    """Segmentation of a simulated landscape, whose truth is known; it is drawn for this alone."""
    assert version == VERSION, (version, VERSION)
    with TemporaryDirectory() as scratch:
        catalog = simulate(Path(scratch) / "simulated", areas=small_areas(areas))
        return evaluate_places([catalog], encoders, options, each, max_train=max_train, max_test=max_test)


def small_areas(count: int) -> tuple[Area, ...]:
    """Plains and hills in turn, far from each other."""
    kinds = (("plain", PLAIN), ("hills", HILLS))
    return tuple(
        Area(f"{kinds[i % 2][0]}-{i}", 3.0 + 0.5 * i, 47.0 + 0.3 * (i % 5), AREA_M, kinds[i % 2][1])
        for i in range(count)
    )


def evaluate_task(
    sets: Sequence[tuple[About, Path]],
    encoders: Encoders,
    options: Options,
    task: TaskOptions,
    runs: Path | None = None,
) -> Report:
    """A table for each set, and each way to join two dates; another with the tuned rows, if any are.

    Args:
        runs: folder of the states of what is tuned, which a stopped run goes on from.

    Raises:
        InputError: a set lacks something, or the encoder sees nothing of it.
    """
    names = [about.name for about, _ in sets]
    if len(set(names)) < len(names):
        raise InputError(f"{', '.join(names)}: expected each set once.")
    tuning = tuning_of(task, runs)
    if tuning:
        check_tunable(encoders.frozen[0], tuning)
    sheets = [
        sheet for about, folder in sets for sheet in sheets_of(about, folder, encoders, options, task, tuning)
    ]
    table = verdict(contests(sheets, options.seed))
    settings = options.settings | {k: v for k, v in asdict(task).items() if tuning or "tune" not in k}
    return Report(options.command, encoders.info, settings, tuple(sheets), (table,) if table else ())


def tuning_of(task: TaskOptions, runs: Path | None) -> Tuning | None:
    """Raises InputError where the part to tune is none that is known."""
    if not task.tune:
        return None
    return Tuning(task.tune, replace(TUNING, seconds=task.tune_seconds, steps=task.tune_steps), runs)


def sheets_of(
    about: About,
    folder: Path,
    encoders: Encoders,
    options: Options,
    task: TaskOptions,
    tuning: Tuning | None = None,
) -> list[Sheet]:
    """Read a set, embed it by every candidate and judge each."""
    asked = check_counts(ask(about, folder, encoders.spec, options.split, task, options.seed))
    judges = dict(_judges(asked, encoders, task, options.seed))
    views = len(asked.train[0].samples)
    samples = [sample for view in range(views) for sample in asked.samples(view)]
    fit_on = _fit_on(asked, views)
    rows: dict[str, list[Row]] = {title: [] for title in judges}
    for source in sources_of(samples, encoders, fit_on, options.seed):
        for title, row in _rows(source, judges, views).items():
            rows[title].append(row)
    for title, judge in judges.items():
        rows[title] += [Row(name, table) for name, table in judge.floors(options.seed).items()]
    sheets = [
        Sheet(about.task, asked, tuple(rows[title]), title, judge.metrics) for title, judge in judges.items()
    ]
    if tuning is None:
        return sheets
    return sheets + [
        tuned_sheet(sheet, asked, judge, encoders, tuning, options.seed)
        for sheet, judge in zip(sheets, judges.values(), strict=True)
    ]


def tuned_sheet(
    frozen: Sheet, asked: Asked, judge: Judge, encoders: Encoders, tuning: Tuning, seed: int
) -> Sheet:
    """Ours and the untrained encoder, tuned alike, beside the frozen rows of the same table."""
    said = f"{'head' if tuning.parts == 'head' else 'head and encoder'} tuned"
    rows = [
        Row(f"{name}, {said}", tuned(encoder, asked, judge, tuning, seed, f"{frozen.title} {name}"))
        for name, encoder in zip(("ours", "untrained encoder"), encoders.frozen, strict=False)
    ]
    rows += [
        replace(row, name=f"{row.name}, frozen" if row is frozen.rows[0] else row.name) for row in frozen.rows
    ]
    metrics = tuple(metric for metric in judge.metrics if metric in rows[0].scores)
    asked = replace(asked, notes=(*asked.notes, tuning.note(asked)))
    return Sheet(frozen.family, asked, tuple(rows), f"{frozen.title}, {said}".lstrip(", "), metrics)


def _judges(asked: Asked, encoders: Encoders, task: TaskOptions, seed: int) -> Iterator[tuple[str, Judge]]:
    about = asked.about
    if about.kind == "labels":
        yield "", Classification(asked)
    elif about.kind == "mask":
        yield about.measure, Segmentation(asked)
    elif about.kind == "change":
        for joining in JOININGS:
            yield joining, Change(asked, joining)
    elif about.kind == "semantic change":
        yield "SCS", SemanticChange(asked)
    else:
        px = encoders.spec.px_per_cell[next(iter(asked.train[0].samples[0].series))]
        yield about.measure, Detection(asked, px, task.steps, seed)


def _fit_on(asked: Asked, views: int) -> np.ndarray:
    each = len(asked.train) + len(asked.test)
    return np.concatenate([view * each + np.arange(len(asked.train)) for view in range(views)])


def _rows(source: Source, judges: dict[str, Judge], views: int) -> dict[str, Row]:
    """One candidate's line of each table; scores are averaged over its seeds."""
    tables: dict[str, list[Table]] = {title: [] for title in judges}
    spent, size = 0.0, 0.0
    for maker in source.makers:
        made, spent = timed(maker)
        size = float(source.bytes_per_value * made.dense[0].size)
        parts = split_views(made, views)
        for title, judge in judges.items():
            tables[title].append(judge(parts))
    return {title: Row(source.name, _averaged(scores), size, spent) for title, scores in tables.items()}


def split_views(made: Features, views: int) -> tuple[Features, ...]:
    """Features of all views one after the other -> one of each."""
    pooled, dense = np.split(made.pooled, views), np.split(made.dense, views)
    return tuple(Features(p, d) for p, d in zip(pooled, dense, strict=True))


def _averaged(tables: Sequence[Table]) -> dict[str, Measured]:
    return {metric: over_seeds([table[metric] for table in tables]) for metric in tables[0]}
