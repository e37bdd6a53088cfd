"""Small samples -> vectors, on the window they fill.

`Encoder.embed` pads every sample to the model's whole window; a single pixel needs one cell of its 64, and
runs about fifty times faster so (cosine to the padded embedding: docs/evaluation.md).
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from data.sample import Sample
from encoder.batch import Batch, buckets, check_sample, collate, window_shape
from encoder.config import SkySenseConfig, SwinConfig
from encoder.protocol import AnyEncoder
from encoder.skysense import SkySense

MAX_PADDING = 0.1  # share of a batch's date slots that may be empty


@dataclass(frozen=True)
class Embedded:
    """Vectors of n samples; rows of what is absent are NaN."""

    fused: np.ndarray  # (n, d) float32
    by_modality: dict[str, np.ndarray]  # (n, d) float32 each
    ms_per_item: float


def embed_small(
    model: SkySense | AnyEncoder, samples: Sequence[Sample | None], *, batch_size: int = 64
) -> Embedded:
    """Embed samples on windows no larger than they are; None gives a NaN row.

    Raises:
        InputError: a sample is not what the model takes.
    """
    return embed_by_each([model], samples, batch_size=batch_size)[0]


def embed_by_each(
    models: Sequence[SkySense | AnyEncoder], samples: Sequence[Sample | None], *, batch_size: int = 64
) -> list[Embedded]:
    """`embed_small` of each model; models of one configuration share the batches.

    Raises:
        InputError: a sample is not what the models take.
    """
    ours = [model for model in models if isinstance(model, SkySense)]
    others = [model for model in models if not isinstance(model, SkySense)]
    made = [_embed_foreign(model, samples, batch_size) for model in others]
    return made + (_embed_ours(ours, samples, batch_size) if ours else [])


def _embed_foreign(encoder: AnyEncoder, samples: Sequence[Sample | None], batch_size: int) -> Embedded:
    """Somebody else's encoder, on windows as they are."""
    present = np.array([i for i, sample in enumerate(samples) if sample is not None], dtype=int)
    shown = [sample for sample in samples if sample is not None]
    started = time.perf_counter()
    made = [encoder.embed(shown[i : i + batch_size]) for i in range(0, len(shown), batch_size)]
    ms = 1000 * (time.perf_counter() - started) / max(len(shown), 1)

    def laid(parts: list[np.ndarray]) -> np.ndarray:
        rows = np.full((len(samples), encoder.info.dimension), np.nan, dtype=np.float32)
        if parts:
            rows[present] = np.concatenate(parts)
        return rows

    alone = {name: laid([batch.by_modality[name] for batch in made]) for name in encoder.spec.px_per_cell}
    return Embedded(laid([batch.embedding for batch in made]), alone, ms)


def _embed_ours(
    models: Sequence[SkySense], samples: Sequence[Sample | None], batch_size: int
) -> list[Embedded]:
    config = models[0].config
    assert all(model.config.px_per_cell == config.px_per_cell for model in models), "models of two grids"
    fused = np.full((len(models), len(samples), config.dimension), np.nan, dtype=np.float32)
    alone = [{name: rows.copy() for name in config.modalities} for rows in fused]
    spent = np.zeros(len(models))
    present = [i for i, sample in enumerate(samples) if sample is not None]
    shown = [sample for sample in samples if sample is not None]
    for sample in shown:
        check_sample(sample, config.px_per_cell)
    shapes = [window_shape(sample, _least_cells(sample, config), config.up_scale) for sample in shown]
    for group in buckets(shown, shapes, config.px_per_cell, batch_size, MAX_PADDING):
        rows = [present[i] for i in group]
        started = time.perf_counter()
        batch = collate([shown[i] for i in group], config.px_per_cell, shapes[group[0]])
        spent += time.perf_counter() - started  # each model would have had to
        for number, model in enumerate(models):
            started = time.perf_counter()
            made = _run(model, batch)
            spent[number] += time.perf_counter() - started
            fused[number, rows] = made[0]
            for name, vectors in made[1].items():
                alone[number][name][rows] = vectors
    ms = 1000 * spent / max(len(shown), 1)
    return [Embedded(*parts) for parts in zip(fused, alone, ms.tolist(), strict=True)]


def _least_cells(sample: Sample, config: SkySenseConfig) -> int:
    """The windowed attention of the aerial encoder may need the model's whole window."""
    swin = config.hr if isinstance(config.hr, SwinConfig) else None
    needs_window = "hr" in sample.series and swin is not None and not swin.pad_small_map
    return config.window_cells if needs_window else 1


def _run(model: SkySense, batch: Batch) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    with torch.inference_mode():
        made = model.embed(batch.to(device))
    model.train(training)
    return made.embedding.cpu().numpy(), {name: v.cpu().numpy() for name, v in made.by_modality.items()}
