"""Embedded samples -> rows of the table: the one place where `encoder/` and `indexer/` meet."""

from collections.abc import Sequence
from typing import Any

import h3
import numpy as np
import pyarrow as pa

from data.child_cells import child_cells
from data.sample import Sample
from data.site import Skip
from encoder.embed import EmbeddingBatch
from encoder.granularity import pool_pieces
from encoder.protocol import AnyEncoder
from indexer.table.schema import ModelInfo, Values, make_rows


def model_info(encoder: AnyEncoder) -> ModelInfo:
    """The encoder's weights as the table writes them into its footers."""
    info = encoder.info
    return ModelInfo(info.name, info.digest, info.dimension, info.licence, info.trained, info.config)


def with_direction(
    samples: Sequence[Sample], batch: EmbeddingBatch
) -> tuple[list[Sample], EmbeddingBatch, list[Skip]]:
    """Those whose embedding can be compared, and the others: flat images stir no filter of a baseline."""
    is_finite = np.isfinite(batch.embedding).all(axis=1)
    seen = [sample for sample, is_there in zip(samples, is_finite, strict=True) if is_there]
    blind = [sample for sample, is_there in zip(samples, is_finite, strict=True) if not is_there]
    reason = "the encoder sees nothing in it: its embedding is zero"
    return seen, batch.take(np.flatnonzero(is_finite)), [Skip(one.sample_id, reason) for one in blind]


def rows_of(
    samples: Sequence[Sample], batch: EmbeddingBatch, model: ModelInfo, values: Values = "float16"
) -> pa.Table:
    """One row per sample.

    Raises:
        TableError: a vector that is not finite.
    """
    return make_rows(
        h3_cell=np.array([sample.h3_cell for sample in samples], np.uint64),
        sample_id=[sample.sample_id for sample in samples],
        footprint=[sample.footprint for sample in samples],
        embedding=batch.embedding,
        embedding_geo=batch.embedding_geo,
        embedding_hr=batch.by_modality["hr"],
        embedding_s2=batch.by_modality["s2"],
        embedding_s1=batch.by_modality["s1"],
        model=model,
        values=values,
        **_described(samples),
    )


def piece_rows_of(
    samples: Sequence[Sample],
    batch: EmbeddingBatch,
    model: ModelInfo,
    *,
    resolution: int,
    cell_m: float,
    values: Values = "float16",
) -> pa.Table | None:
    """One row per finer H3 cell of each sample, pooled from the same forward pass; None without any.

    A row's footprint is the hexagon; dates and quality are those of the sample it was cut from.

    Raises:
        InputError: cells of `resolution` are smaller than a grid cell.
    """
    assert batch.dense is not None, "embed with dense=True"
    pieces = [child_cells(sample, resolution, cell_m) for sample in samples]
    pooled = []
    for sample, piece, dense in zip(samples, pieces, batch.dense, strict=True):
        grid_h, grid_w = sample.grid_shape
        pooled.append(pool_pieces(dense[:, :grid_h, :grid_w], piece.overlap_m2))
    kept = [(i, j) for i, vectors in enumerate(pooled) for j in np.flatnonzero(np.isfinite(vectors[:, 0]))]
    if not kept:
        return None
    owners = [samples[i] for i, _ in kept]
    cells = [int(pieces[i].cells[j]) for i, j in kept]
    return make_rows(
        h3_cell=np.array(cells, np.uint64),
        sample_id=[_piece_id(owner, cell) for owner, cell in zip(owners, cells, strict=True)],
        footprint=[pieces[i].footprints[j] for i, j in kept],
        embedding=np.stack([pooled[i][j] for i, j in kept]),
        model=model,
        values=values,
        **_described(owners),
    )


def _piece_id(owner: Sample, cell: int) -> str:
    """In an area the cell's hex string; of a chip `place/cell`."""
    name = h3.int_to_str(cell)
    return name if owner.sample_id == h3.int_to_str(owner.h3_cell) else f"{owner.sample_id}/{name}"


def _described(samples: Sequence[Sample]) -> dict[str, Any]:
    """The columns that say where a row's pixels came from."""
    return {
        "start": [sample.start for sample in samples],
        "end": [sample.end for sample in samples],
        "n_hr": [_dates(sample, "hr") for sample in samples],
        "n_s2": [_dates(sample, "s2") for sample in samples],
        "n_s1": [_dates(sample, "s1") for sample in samples],
        "valid_fraction": [sample.valid_fraction for sample in samples],
        "cloud_fraction": [sample.cloud_fraction for sample in samples],
        "source_items": [sample.source_items for sample in samples],
    }


def _dates(sample: Sample, modality: str) -> int:
    return len(sample.series[modality].day_of_year) if modality in sample.series else 0
