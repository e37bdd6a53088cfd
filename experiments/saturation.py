"""Where the vectors of one sensor draw together: pairwise cosines from the pixels to the embedding.

    python -m experiments.saturation FOLDER_OF_CHIPS [--weights nano-1] [--most 60]

For GeoTIFF chips of one sensor it prints, at each step of the encoder, the mean cosine of two chips, the
length of the mean of the unit vectors, and the effective rank of what is left once the mean is taken away. A
length near 1 means that all chips point one way, so that cosines are high whatever is shown.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from data.reader import read_chip
from data.sample import InputError, Sample
from encoder.batch import collate, window_shape
from encoder.embed import Encoder
from indexer.table.vector_spread import effective_rank, random_cosine

Steps = dict[str, NDArray[np.float64]]  # by step: a vector of each chip (n, d)


def spread(vectors: NDArray[np.float64]) -> tuple[float, float, float]:
    """Of vectors (n, d): mean cosine of two, length of the mean unit vector, effective rank."""
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return random_cosine(units), float(np.linalg.norm(units.mean(axis=0))), effective_rank(units)


def steps(encoder: Encoder, samples: list[Sample]) -> Steps:
    """A vector of each sample at each step: the mean over its places and dates."""
    vectors: dict[str, list[NDArray[np.float64]]] = {}
    with torch.inference_mode():
        for sample in samples:
            config = encoder.model.config
            shape = window_shape(sample, config.window_cells, config.up_scale)
            batch = collate([sample], config.px_per_cell, shape)
            (name,) = batch.series
            series = batch.series[name]
            maps = encoder.model.encode(name, series.pixels, series.valid)
            tokens = encoder.model.tokens({name: maps}, {name: series.day_of_year})[name]
            embedded = encoder.model.embed(batch)
            for step, values in (
                ("pixels, as the model takes them", _mean(series.pixels, 2)),
                ("after the sensor's own encoder", _mean(maps, 2)),
                ("as tokens of the fusion", tokens.double().reshape(-1, tokens.shape[-1]).mean(0).numpy()),
                ("the embedding", embedded.embedding[0].double().numpy()),
            ):
                vectors.setdefault(step, []).append(values)
    return {step: np.stack(values) for step, values in vectors.items()}


def _mean(values: torch.Tensor, channel: int) -> NDArray[np.float64]:
    """Of (..., C, ...) the mean of each channel."""
    channels = values.double().movedim(channel, -1).reshape(-1, values.shape[channel])
    return channels.nanmean(dim=0).numpy()


def readable(folder: Path, encoder: Encoder, most: int) -> Iterator[Sample]:
    """The first chips of a folder that the encoder takes, of one sensor."""
    count = 0
    for path in sorted(folder.rglob("*.tif")):
        try:
            sample = read_chip(str(path), encoder.spec)
        except InputError:
            continue
        if len(sample.series) == 1 and count < most:
            count += 1
            yield sample


def main() -> None:
    """See the head of this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", default="nano-1")
    parser.add_argument("--most", type=int, default=60)
    words = parser.parse_args()
    encoder = Encoder(words.weights, "cpu")
    samples = list(readable(words.folder, encoder, words.most))
    print(f"{encoder.info.name}, {len(samples)} chips of {words.folder.name}")
    for step, vectors in steps(encoder, samples).items():
        cosine, length, rank = spread(vectors)
        print(
            f"{step:34} mean cosine {cosine:.3f}, length of the mean {length:.3f}, effective rank {rank:.1f}"
        )


if __name__ == "__main__":
    main()
