"""Vectors of what people bring along to look like: image chips, through the encoder, and files of vectors."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data.sample import InputError
from indexer.errors import QueryError
from indexer.search.query import Vector
from indexer.search.words import column_of
from indexer.table.embedding_table import EmbeddingTable

if TYPE_CHECKING:
    from encoder.protocol import TextSide

TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # how one begins: no other format, which could name files


def chip_examples(
    table: EmbeddingTable,
    paths: Sequence[str | Path],
    *,
    using: str = "fused",
    weights: str = "nano",
    code: bool = True,
    folder: Path | None = None,
) -> list[Vector]:
    """The vector of each GeoTIFF, of one modality or fused.

    Args:
        weights, code, folder: as `encoder.loading.load_encoder` takes them.

    Raises:
        QueryError: the table's vectors were made with other weights, or a chip lacks the modality.
        InputError: a chip that cannot be embedded.
    """
    if not paths:
        return []
    from data.reader import read_chip
    from encoder.loading import load_encoder

    encoder = load_encoder(weights, code=code, folder=folder)
    samples = [read_chip(str(path), encoder.spec) for path in paths]
    _require_model(table, encoder.info.name, encoder.info.digest, "the chip")
    batch, column = encoder.embed(samples), column_of(using)
    by_column = {f"embedding_{name}": vectors for name, vectors in batch.by_modality.items()}
    vectors = {"embedding": batch.embedding, "embedding_geo": batch.embedding_geo, **by_column}.get(column)
    without = (
        paths if vectors is None else [p for p, v in zip(paths, vectors, strict=True) if np.isnan(v).any()]
    )
    if without:
        raise QueryError(f"{without[0]} gives no {column}: it lacks what that is made from")
    assert vectors is not None
    own = column.removeprefix("embedding_")
    made_of = [(own,) if own in batch.by_modality else tuple(sample.series) for sample in samples]
    return [Vector(vector, sensors) for vector, sensors in zip(vectors, made_of, strict=True)]


def chip_contents(table: EmbeddingTable, contents: Mapping[str, bytes], **how: Any) -> list[Vector]:
    """`chip_examples` of the contents of GeoTIFFs, by their names.

    Raises:
        QueryError: as `chip_examples`, also for what cannot be read or is no GeoTIFF.
    """
    if not contents:
        return []
    for name, content in contents.items():
        if not content.startswith(TIFF):
            raise QueryError(f"{name} is no GeoTIFF: expected the content of one")
    with tempfile.TemporaryDirectory(prefix="skyhex-") as folder:
        files = {Path(folder) / f"{number}.tif": name for number, name in enumerate(contents, 1)}
        for path, name in files.items():
            path.write_bytes(contents[name])
        try:
            return chip_examples(table, [*files], **how)
        except (InputError, QueryError, OSError) as error:
            said = str(error)
            for path, name in files.items():
                said = said.replace(str(path), name)
            raise QueryError(said) from error


def text_examples(
    table: EmbeddingTable, texts: Sequence[str], *, weights: str = "nano", code: bool = True
) -> list[Vector]:
    """The vector of each text, by an encoder that knows words.

    Raises:
        QueryError: the table's vectors were made with other weights, or the encoder knows no words.
    """
    vectors = text_side(table, weights, code=code).embed_text(texts) if texts else ()
    return [Vector(vector) for vector in vectors]


def text_side(
    table: EmbeddingTable, weights: str, *, code: bool = True, folder: Path | None = None
) -> TextSide:
    """The encoder of a table's vectors, which knows words.

    Args:
        weights, code, folder: as `encoder.loading.load_encoder` takes them.

    Raises:
        QueryError: the table's vectors were made with other weights, or it knows no words.
    """
    from encoder.loading import load_encoder
    from encoder.protocol import TextSide

    encoder = load_encoder(weights, code=code, folder=folder)
    _require_model(table, encoder.info.name, encoder.info.digest, "the text")
    if not isinstance(encoder, TextSide):
        raise QueryError(f"{encoder.info.name} knows no words: search by chip, cell or place instead")
    return encoder


def _require_model(table: EmbeddingTable, name: str, digest: str, what: str) -> None:
    if digest != table.model.digest:
        from encoder.shipped import shipped_name

        weights = shipped_name(table.model.name) or "FILE"
        raise QueryError(
            f"The table was made with {table.model}, {what} would be embedded with {name} "
            f"({digest[:12]}): name the table's weights with --weights {weights}"
        )


def read_vector(path: Path) -> np.ndarray:
    """A vector of a .npy file or a JSON list. Raises `QueryError`."""
    return vector_content(path.read_bytes(), str(path))


def vector_content(content: bytes, name: str) -> np.ndarray:
    """The same of a file's content, float32. Raises `QueryError`."""
    try:
        if name.endswith(".npy"):
            return np.asarray(np.load(BytesIO(content), allow_pickle=False), np.float32)
        return np.asarray(json.loads(content), np.float32)
    except (ValueError, TypeError, EOFError) as error:
        raise QueryError(
            f"{name} holds no vector ({error}); expected a .npy array or a JSON list of numbers"
        ) from error
