"""Paths -> reports: what the commands of `skyhex eval` do, one function each.

All raise InputError for sets that are not what was expected, or that hold nothing to compare.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from indexer.geo.cells import resolutions

from .agreement import Agreement, agreement, agreement_table
from .cell_labels import labelled, read_labels
from .chip_case import chip_case
from .each import Each
from .image_case import image_case
from .options import Encoders, Options
from .prototype_case import prototype_rows
from .prototype_scorecard import scorecard
from .report import Report, Table
from .run import Judged, judge, report_of
from .series_case import series_case
from .series_sets import read_series
from .table_pair import TablePair
from .vector_case import case_of, vector_case


def evaluate_series(paths: Sequence[Path], encoders: Encoders, options: Options, each: Each) -> Report:
    """Labelled series of single pixels."""

    def work(path: Path) -> Judged:
        return judge(series_case(read_series(path, options.rules), encoders, options), options)

    return report_of(each(paths, work), options, encoders.info)


def evaluate_chips(
    catalogs: Sequence[Path], encoders: Encoders, options: Options, each: Each, *, cells: int, per_place: int
) -> Report:
    """Patches of label rasters: `cells` a side, at most `per_place` of a place."""

    def work(catalog: Path) -> Judged:
        case = chip_case(catalog, encoders, options, cells=cells, per_place=per_place)
        return judge(case, options)

    report = report_of(each(catalogs, work), options, encoders.info)
    return replace(report, settings=report.settings | {"cells": cells, "per_place": per_place})


def evaluate_images(folders: Sequence[Path], encoders: Encoders, options: Options, each: Each) -> Report:
    """Folders of labelled images."""
    judged = each(folders, lambda folder: judge(image_case(folder, encoders, options), options))
    return report_of(judged, options, encoders.info)


def evaluate_vectors(paths: Sequence[Path], options: Options) -> Report:
    """Embeddings of the same items by several models, ours first."""
    model = {"name": paths[0].stem, "digest": "", "trained": True}
    return report_of([judge(vector_case(paths, options), options)], options, model)


def evaluate_tables(
    pair: TablePair, labels: Path | None, options: Options, *, beyond_km: float
) -> tuple[Report, Agreement]:
    """Two tables of the same cells: their neighbours, and what each does on labels; and the map's rows."""
    agreed = agreement(pair, beyond_km=beyond_km, max_queries=options.max_queries, seed=options.seed)
    judged = []
    if labels is not None:
        resolution = int(resolutions(pair.cell[:1])[0])
        case = case_of(labelled(pair, read_labels(labels, resolution), labels), options)
        judged = [judge(replace(case, problem=replace(case.problem, name=labels.stem)), options)]
    model = {"name": " beside ".join(pair.names), "digest": "", "trained": True}
    report = report_of(judged, options, model)
    tables = (agreement_table(agreed, options.seed),) if options.wants("neighbours") else ()
    settings = report.settings | {"beyond_km": beyond_km}
    return replace(report, settings=settings, tables=tables + report.tables), agreed


def evaluate_prototypes(
    paths: Sequence[Path],
    encoders: Encoders,
    options: Options,
    each: Each,
    *,
    region_res: int,
    per_region: int,
) -> Report:
    """The scorecard of regional prototypes, `per_region` at most in an H3 cell of `region_res`."""

    alone = replace(encoders, untrained=())  # the others are not asked

    def work(path: Path) -> list[Table]:
        rows = prototype_rows(path, alone, options)
        dial = {"resolution": region_res, "per_region": per_region, "seed": options.seed}
        return scorecard(rows, **dial, protocol=options.protocol)

    tables = tuple(table for of_set in each(paths, work) for table in of_set)
    settings = options.settings | {"region_res": region_res, "per_region": per_region}
    return Report(options.command, encoders.info, settings, (), tables)
