"""Vectors laid out in a plane, so that what is alike lies together."""

from __future__ import annotations

import logging
from typing import Literal, get_args

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..errors import QueryError
from ..table.embedding_table import EmbeddingTable
from .drawn_rows import MOST_ROWS, draw_rows, with_columns

Method = Literal["pca", "pacmap"]
METHODS = get_args(Method)
LEAST_ROWS = 50  # that PaCMAP is given: it looks at the nearest, and at some farther ones


def project(vectors: NDArray[np.float32], method: str = "pca", *, seed: int = 0) -> NDArray[np.float32]:
    """The places (n, 2) of vectors (n, d) of norm 1 in a plane, -1 to 1.

    Args:
        vectors: what is laid out.
        method: "pca", the two directions of greatest variance, or "pacmap" (Wang et al. 2021), which keeps
            neighbours and the distances between groups, and needs the extra `projection`.
        seed: of what PaCMAP draws; PCA draws nothing.

    Raises:
        QueryError: an unknown method, a package that is not installed, too few rows for PaCMAP.
    """
    if method not in METHODS:
        raise QueryError(f"the method {method!r} is unknown: expected one of {', '.join(METHODS)}")
    places = _pca(vectors) if method == "pca" else _pacmap(vectors, seed)
    return places / max(float(np.abs(places).max(initial=0)), 1e-12)


def project_table(
    table: EmbeddingTable, method: str = "pca", most: int = MOST_ROWS, *, seed: int = 0
) -> pa.Table:
    """At most so many rows of a table, drawn as `draw_rows` does: their keys, lon, lat, x and y (n,).

    Raises:
        QueryError: as in `project`.
        TableError: the table cannot be read.
    """
    drawn = draw_rows(table, most, seed=seed)
    places = project(drawn.vectors, method, seed=seed)
    return with_columns(drawn.keys, x=places[:, 0], y=places[:, 1])


def principal_axes(
    vectors: NDArray[np.float32], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean (d,) of vectors (n, d), n > 0, and their directions (d, count) of greatest variance.

    Each points to where its largest component is positive, so that nothing laid out by them is mirrored.
    Of vectors shorter than `count` the last directions are zero.
    """
    mean = vectors.mean(axis=0, dtype=np.float64)
    centred = vectors - mean
    _, every = np.linalg.eigh(centred.T @ centred)  # (d, d), by rising variance
    most = every[:, ::-1][:, :count]
    largest = np.take_along_axis(most, np.abs(most).argmax(axis=0)[None], axis=0)
    axes = np.zeros((len(mean), count))
    axes[:, : most.shape[1]] = most * np.sign(largest)
    return mean, axes


def _pca(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    if not len(vectors):
        return np.zeros((0, 2), np.float32)
    mean, axes = principal_axes(vectors, 2)
    return np.asarray(((vectors - mean) @ axes).astype(np.float32))


def _pacmap(vectors: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    if len(vectors) < LEAST_ROWS:
        raise QueryError(f"PaCMAP lays out {LEAST_ROWS} rows or more, here are {len(vectors)}: use PCA")
    try:
        from pacmap import PaCMAP
    except ImportError as error:
        raise QueryError("PaCMAP is not installed: `pip install skyhex[projection]`, or use PCA") from error
    logging.getLogger("pacmap").setLevel(logging.ERROR)  # it warns of having been given a seed
    laid_out = PaCMAP(n_components=2, distance="angular", random_state=seed).fit_transform(vectors)
    return np.asarray(laid_out, np.float32)
