"""Chips that came with a question: GeoTIFFs as base64, read from a folder of their own that is then gone."""

import base64
import binascii
import tempfile
from collections.abc import Sequence
from pathlib import Path

from data.sample import InputError
from indexer.errors import QueryError
from indexer.search.query import Vector
from indexer.table.embedding_table import EmbeddingTable
from pipeline.examples import chip_examples

TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # how one begins: no other format, which could name files


def examples_of(table: EmbeddingTable, contents: Sequence[str], using: str, weights: str) -> list[Vector]:
    """The vector of each chip. Raises QueryError."""
    if not contents:
        return []
    with tempfile.TemporaryDirectory(prefix="skyhex-") as folder:
        paths = [_written(Path(folder) / f"chip-{n}.tif", text) for n, text in enumerate(contents, 1)]
        try:
            return chip_examples(table, paths, using=using, weights=weights, code=False)
        except (InputError, OSError) as error:
            raise QueryError(str(error).replace(f"{folder}/", "")) from error


def _written(path: Path, text: str) -> Path:
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise QueryError(f"{path.stem} is not base64 ({error}): expected the content of a GeoTIFF") from error
    if not content.startswith(TIFF):
        raise QueryError(f"{path.stem} is no GeoTIFF: expected the content of one, as base64")
    path.write_bytes(content)
    return path
