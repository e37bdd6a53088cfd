"""Samples in, embeddings out: the encoder as the rest of the project uses it."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from data.sample import InputError, Sample, SampleSpec

from .batch import Batch, buckets, check_samples, collate, largest_grid, window_shape
from .checkpoint import OUR_LICENCE, WeightsInfo, load_weights, weights_info
from .config import PRESETS, SkySenseConfig, preset
from .initialise import initialise
from .shipped import shipped_weights
from .skysense import Embeddings, SkySense

UNTRAINED_SEED = 0
MAX_PADDING = 0.1  # share of a batch's date slots that may be empty


@dataclass(frozen=True)
class EmbeddingBatch:
    """Embeddings of B samples, in their order. Vectors have L2 norm 1; rows of what is absent are NaN."""

    embedding: np.ndarray  # (B, d) float32, without geo-context
    embedding_geo: np.ndarray | None  # (B, 2d) float32; None when the weights hold no prototypes
    by_modality: dict[str, np.ndarray]  # (B, d) float32 each, of every modality that a sample has
    dense: np.ndarray | None  # (B, d, grid_h, grid_w) float32, not normalised; NaN in cells without data

    def take(self, rows: np.ndarray) -> "EmbeddingBatch":
        """Some of the samples: rows (m,) by number."""
        return EmbeddingBatch(
            self.embedding[rows],
            None if self.embedding_geo is None else self.embedding_geo[rows],
            {name: vectors[rows] for name, vectors in self.by_modality.items()},
            None if self.dense is None else self.dense[rows],
        )


class Encoder:
    """A model with its weights on a device.

    Args:
        weights: the name of a size ("nano", "small", "base", "huge") or the path of a .safetensors file.
            A size without shipped weights gets seeded, untrained ones.
        device: "auto" (CUDA where it is), or a torch device.
        batch_size: samples that go through the model together, at most.
        compiled: use `torch.compile`; pays in long jobs on CUDA.

    Raises:
        CheckpointError: the weights cannot be used.
        InputError: the device is not there.
    """

    def __init__(
        self, weights: str = "nano", device: str = "auto", batch_size: int = 16, compiled: bool = False
    ) -> None:
        self.device = _device(device)
        self.batch_size = batch_size
        model, self.info = _load(weights)
        self.model = model.to(self.device).prepare()
        if compiled:
            self.model.compile_parts()

    @classmethod
    def of(cls, model: SkySense, info: WeightsInfo, batch_size: int = 16) -> "Encoder":
        """A model that is in memory already, on the device that it is on."""
        self = cls.__new__(cls)
        self.device = next(model.parameters()).device
        self.batch_size = batch_size
        self.model, self.info = model.prepare(), info
        return self

    @property
    def spec(self) -> SampleSpec:
        """The pixel grid that this model asks for."""
        config = self.model.config
        return SampleSpec(
            cell_m=config.cell_m,
            window_cells=config.window_cells,
            px_per_cell=config.px_per_cell,
            max_dates=config.max_dates,
            s2_levels=config.s2_levels,
        )

    def embed(self, samples: Sequence[Sample], dense: bool = False) -> EmbeddingBatch:
        """Embeds samples, each on its own terms. Raises InputError for samples that do not fit `spec`."""
        px_per_cell = self.spec.px_per_cell
        check_samples(samples, px_per_cell)
        config = self.model.config
        shapes = [window_shape(sample, config.window_cells, config.up_scale) for sample in samples]
        groups = buckets(samples, shapes, px_per_cell, self.batch_size, MAX_PADDING)

        def load(group: list[int]) -> Batch:
            batch = collate([samples[i] for i in group], px_per_cell, shapes[group[0]])
            return batch.pin_memory() if self.device.type == "cuda" else batch

        out = _blank(len(samples), config, largest_grid(samples) if dense else None)
        for group, batch in zip(groups, _one_ahead(load, groups), strict=True):
            made = self._run(batch)
            _put(out, group, made, [samples[i].grid_shape for i in group])
        return out

    @torch.inference_mode()
    def _run(self, batch: Batch) -> Embeddings:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            return self.model.embed(batch.to(self.device))


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"no device {name!r} ({reason}): use auto, cpu or cuda") from error
    return torch.device(name)


def is_untrained(weights: str) -> bool:
    """Whether a word names a size without shipped weights: its values are drawn from a seed."""
    return weights in PRESETS and shipped_weights(weights) is None


def _load(weights: str) -> tuple[SkySense, WeightsInfo]:
    if not is_untrained(weights):
        shipped = shipped_weights(weights)
        return load_weights(shipped or Path(weights), is_known=shipped is not None)
    model = SkySense(preset(weights))
    initialise(model, UNTRAINED_SEED)
    return model, weights_info(model, f"skyhex/{weights}-untrained", trained=False, licence=OUR_LICENCE)


def _one_ahead(load: Callable[[list[int]], Batch], groups: Sequence[list[int]]) -> Iterator[Batch]:
    """Batches in order; the next one is made while the caller works on the last."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        coming = thread.submit(load, groups[0])
        for group in groups[1:]:
            batch, coming = coming.result(), thread.submit(load, group)
            yield batch
        yield coming.result()


def _blank(count: int, config: SkySenseConfig, grid: tuple[int, int] | None) -> EmbeddingBatch:
    """All rows NaN."""
    d = config.dimension

    def rows(*shape: int) -> np.ndarray:
        return np.full((count, *shape), np.nan, dtype=np.float32)

    return EmbeddingBatch(
        embedding=rows(d),
        embedding_geo=rows(2 * d) if config.geo.region_count else None,
        by_modality={name: rows(d) for name in config.modalities},
        dense=rows(d, *grid) if grid else None,
    )


def _put(out: EmbeddingBatch, group: list[int], made: Embeddings, grids: Sequence[tuple[int, int]]) -> None:
    """Writes a batch's embeddings into the rows of its samples."""
    out.embedding[group] = made.embedding.cpu().numpy()
    if out.embedding_geo is not None and made.embedding_geo is not None:
        out.embedding_geo[group] = made.embedding_geo.cpu().numpy()
    for name, rows in made.by_modality.items():
        out.by_modality[name][group] = rows.cpu().numpy()
    if out.dense is not None:
        maps = torch.where(made.cell_valid[:, None], made.fused.float(), torch.nan).cpu().numpy()
        for i, one, (h, w) in zip(group, maps, grids, strict=True):
            out.dense[i, :, :h, :w] = one[:, :h, :w]
