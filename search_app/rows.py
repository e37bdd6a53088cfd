"""Embedded samples -> rows of the table: the one place where `encoder/` and `indexer/` meet."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from data.sample import Sample
from encoder.embed import EmbeddingBatch, Encoder
from indexer.schema import ModelInfo, make_rows


def model_info(encoder: Encoder) -> ModelInfo:
    """The encoder's weights as the table writes them into its footers."""
    info = encoder.info
    return ModelInfo(info.name, info.digest, info.dimension, info.licence, info.trained, info.config)


def rows_of(samples: Sequence[Sample], batch: EmbeddingBatch, model: ModelInfo) -> pa.Table:
    """One row per sample.

    Raises:
        TableError: a vector that is not finite.
    """
    return make_rows(
        h3_cell=np.array([sample.h3_cell for sample in samples], np.uint64),
        sample_id=[sample.sample_id for sample in samples],
        start=[sample.start for sample in samples],
        end=[sample.end for sample in samples],
        footprint=[sample.footprint for sample in samples],
        embedding=batch.embedding,
        embedding_geo=batch.embedding_geo,
        embedding_hr=batch.by_modality["hr"],
        embedding_s2=batch.by_modality["s2"],
        embedding_s1=batch.by_modality["s1"],
        model=model,
        n_hr=[_dates(sample, "hr") for sample in samples],
        n_s2=[_dates(sample, "s2") for sample in samples],
        n_s1=[_dates(sample, "s1") for sample in samples],
        valid_fraction=[sample.valid_fraction for sample in samples],
        cloud_fraction=[sample.cloud_fraction for sample in samples],
        source_items=[sample.source_items for sample in samples],
    )


def _dates(sample: Sample, modality: str) -> int:
    return len(sample.series[modality].day_of_year) if modality in sample.series else 0
