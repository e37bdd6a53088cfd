"""The forms of a result and the names of their files. output.py writes them, loaded when there are rows."""

from enum import StrEnum
from pathlib import Path

from indexer.errors import QueryError


class Format(StrEnum):
    """What a command prints."""

    table = "table"
    json = "json"
    csv = "csv"
    geojson = "geojson"
    geoparquet = "geoparquet"


ENDINGS = {  # of a file's name, the first as we write it
    Format.table: (".txt",),
    Format.json: (".json",),
    Format.csv: (".csv",),
    Format.geojson: (".geojson",),
    Format.geoparquet: (".parquet", ".geoparquet", ".pq"),
}


def form_of(form: Format | None, out: Path | None) -> Format:
    """The form that is asked for, or else the one that a file's name says; a terminal table without either.

    Raises:
        QueryError: the name says another form than the one asked for, or none that is known.
    """
    if out is None:
        return form or Format.table
    said = next((known for known, endings in ENDINGS.items() if out.suffix.lower() in endings), None)
    if form is None and said is None:
        names = ", ".join(ending for endings in ENDINGS.values() for ending in endings)
        raise QueryError(f"{out} says no form: expected a name that ends in {names}, or --format NAME")
    if form is not None and said is not None and form is not said:
        raise QueryError(f"{out} is named as {said} and --format asks for {form}: change one of the two")
    form = form or said
    assert form is not None
    return form


def check_ending(out: Path, endings: tuple[str, ...], form: str) -> None:
    """Raises `QueryError` for a file that is named as something else than it will be."""
    if out.suffix.lower() not in endings:
        raise QueryError(f"{out} will hold {form}: expected a name that ends in {' or '.join(endings)}")
