"""The rows that were found: a table with pictures, a closer look at one of them, downloads."""

import base64
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import shapely
import streamlit as st

from indexer.geo.cells import cell_to_text, cells_to_text
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.schema import COUNTS, KEY
from pipeline.attached_scenes import AttachedScene, AttachedScenes

from ..form import ENDINGS, Format
from ..output import encode, is_cell_column
from ..own_ground import TILES, address_of
from ..page_settings import page_settings
from .allowed import access_of, whole_href
from .cached import BY_SNAPSHOT
from .plain import plain
from .quicklook import TITLES, Quicklook, Subject, modalities, quicklook
from .stand_in import neighbourhood

FOLDER = ".quicklooks"
PICTURED = [*KEY, *COUNTS, "geometry", "source_items"]  # columns of rows that are to have pictures
SHOWN_BY = ["h3_cell", "geometry", "source_items", "start_datetime", "end_datetime"]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
THUMBNAIL_PX = 96
PICTURE_PX = 320
TABLE_PX, SHORT_TABLE_PX = 430, 230  # height; short leaves room for a closer look
MAX_THUMBNAILS = 60  # rows that get a picture in the table; each may be a read over the network
WORKERS = 4
TOP = "Among the top ... of this table's rows: the share of them that is at least as like. No probability."
DOWNLOADS = {"CSV": Format.csv, "JSON": Format.json}
MAP_DOWNLOADS = {"GeoJSON": Format.geojson, "GeoParquet": Format.geoparquet}
MEDIA_TYPES = {
    Format.csv: "text/csv",
    Format.json: "application/json",
    Format.geojson: "application/geo+json",
    Format.geoparquet: "application/vnd.apache.parquet",
}


def quicklook_folder(table: EmbeddingTable) -> Path | None:
    """Where the table's pictures are kept; None for a table that is not on this disk."""
    directory = table.storage.directory
    return directory / FOLDER if directory else None


def rows_by_key(
    table: EmbeddingTable, keys: Sequence[tuple[Any, ...]], columns: Sequence[str] = PICTURED
) -> pa.Table:
    """Rows by key, in the order asked, read in one pass over their cells. `columns` has those of the key."""
    schema = table.schema_of(columns)
    if not keys:
        return schema.empty_table()
    rows = pa.Table.from_batches(table.scan(columns, cells={key[0] for key in keys}), schema)
    place = {key: i for i, key in enumerate(row_keys(rows))}
    return rows.take(pa.array([place[key] for key in keys]))


def row_keys(rows: pa.Table, names: Sequence[str] = KEY) -> list[tuple[Any, ...]]:
    """The key of each row (n,)."""
    return [*zip(*(rows[name].to_pylist() for name in names), strict=True)]


def subjects(table: EmbeddingTable, rows: pa.Table) -> list[Subject]:
    """What the quicklooks of rows (n,) are of.

    Rasters of their own; or scenes attached to the table; or the map's background, where that is a GeoTIFF;
    or their neighbourhood in false colours.
    """
    return [_subject(table, row) for row in rows.select(SHOWN_BY).to_pylist()]


def _subject(table: EmbeddingTable, row: Mapping[str, Any]) -> Subject:
    access, scenes, ground = access_of(table), read_scenes(table), page_settings().ground
    footprint, start, end = row["geometry"], row["start_datetime"], row["end_datetime"]
    if row["source_items"]:
        return Subject(footprint, tuple(whole_href(table, item) for item in row["source_items"]), access)
    if scenes and (shown := attached(table, scenes, footprint, start, end)):
        return Subject(footprint, (), access, shown)
    if address_of(ground) == TILES:
        return Subject(footprint, (), access, ground=ground)
    start_us = int((start - EPOCH) / timedelta(microseconds=1))
    return Subject(footprint, (), access, hexagons=neighbourhood(table, row["h3_cell"], start_us))


@st.cache_resource(max_entries=4, show_spinner=False, hash_funcs=BY_SNAPSHOT)
def read_scenes(table: EmbeddingTable) -> AttachedScenes | None:
    """See `AttachedScenes.of`."""
    return AttachedScenes.of(table)


def attached(
    table: EmbeddingTable, scenes: AttachedScenes, footprint_wkb: bytes, start: datetime, end: datetime
) -> tuple[AttachedScene, ...]:
    """The scenes that a row is shown by; paths in them may be relative to the table, as those of rows."""
    shown = scenes.shown(shapely.from_wkb(footprint_wkb), start, end)
    whole = (tuple(replace(b, href=whole_href(table, b.href)) for b in one.bands) for one in shown)
    return tuple(replace(one, bands=bands) for one, bands in zip(shown, whole, strict=True))


@st.cache_data(max_entries=4000, show_spinner=False)
def picture(
    subject: Subject, folder: Path | None, modality: str = "", size_px: int = THUMBNAIL_PX
) -> Quicklook:
    """A row's quicklook, from memory, from disk or drawn."""
    return quicklook(subject, folder, modality, size_px)


def thumbnails(wanted: Sequence[Subject], folder: Path | None) -> list[str]:
    """Pictures (n,) as data URIs, several drawn at once."""
    with ThreadPoolExecutor(WORKERS) as pool:
        drawn = pool.map(lambda subject: quicklook(subject, folder, "", THUMBNAIL_PX), wanted)
        return ["data:image/png;base64," + base64.b64encode(picture.png).decode() for picture in drawn]


def result_frame(rows: pa.Table, pictures: Sequence[str]) -> pd.DataFrame:
    """The columns that people read, one row per result; `pictures` may be fewer."""
    cells = cells_to_text(rows["h3_cell"].to_numpy())
    names = rows["sample_id"].to_pylist()
    columns: dict[str, Any] = {
        "picture": [*pictures, *[None] * (rows.num_rows - len(pictures))],
        "rank": rows["rank"].to_pylist(),
        "similarity": rows["similarity"].to_pylist(),
        "top": [None if share is None else 100 * share for share in rows["top_share"].to_pylist()],
        "cell": cells,
        "place": names,
        "period": [period(row) for row in rows.select(["start_datetime", "end_datetime"]).to_pylist()],
        "dates": [dates_used(row) for row in rows.select(["n_hr", "n_s2", "n_s1"]).to_pylist()],
        "lon": rows["lon"].to_pylist(),
        "lat": rows["lat"].to_pylist(),
    }
    if rows["top_share"].null_count == rows.num_rows:  # no index keeps a sample
        del columns["top"]
    if names == cells:  # of an area: the cell, once more
        del columns["place"]
    return pd.DataFrame(columns)


def period(row: Mapping[str, Any]) -> str:
    """`2021`, `2021-06`, `2021-06-30` or `2021-03-01 to 2021-10-01` for a row's period."""
    start, end = row["start_datetime"], row["end_datetime"]
    if end - start == timedelta(days=1):
        return f"{start:%Y-%m-%d}"
    if (start.month, start.day, end.month, end.day) == (1, 1, 1, 1) and end.year == start.year + 1:
        return str(start.year)
    if start.day == end.day == 1 and (end.year - start.year) * 12 + end.month - start.month == 1:
        return f"{start:%Y-%m}"
    return f"{start:%Y-%m-%d} to {end:%Y-%m-%d}"


def dates_used(row: Mapping[str, Any]) -> str:
    """`HR 1 · S2 8` for a row made of one aerial and eight Sentinel-2 dates."""
    return " · ".join(f"{name.upper()} {row[f'n_{name}']}" for name in ("hr", "s2", "s1") if row[f"n_{name}"])


def draw_results(
    table: EmbeddingTable, rows: pa.Table, signature: str, on_pick: Callable[[], None]
) -> int | None:
    """The result table; returns the row that is picked.

    Args:
        rows: results in order of rank, with footprints.
        signature: tells one search from another: what was picked belongs to it.
        on_pick: runs when a row is picked.
    """
    pictures = thumbnails(subjects(table, rows.slice(0, MAX_THUMBNAILS)), quicklook_folder(table))
    key = f"results {signature}"
    picking = key in st.session_state and st.session_state[key].selection.rows
    event = draw_list(
        result_frame(rows, pictures),
        key,
        on_pick,
        SHORT_TABLE_PX if picking else TABLE_PX,
        similarity=st.column_config.NumberColumn(format="%.3f", width=82),
        top=st.column_config.NumberColumn(format="%.2g %%", width=64, help=TOP),
    )
    picked = event.selection.rows
    return picked[0] if picked and picked[0] < rows.num_rows else None


def draw_list(
    frame: Any,
    key: str,
    on_select: Callable[[], None] | Literal["rerun"],
    height: int = TABLE_PX,
    **columns: Any,
) -> Any:
    """Lines with pictures, of which one can be ticked; `columns` are those that only this list has."""
    image = st.column_config.ImageColumn("", width=72)
    degrees = st.column_config.NumberColumn(format="%.4f")
    usual = dict.fromkeys(("picture", "before", "after"), image) | dict.fromkeys(("lon", "lat"), degrees)
    usual |= {
        "rank": st.column_config.NumberColumn("#", width=36),
        "cell": st.column_config.TextColumn(width=150),
    }
    return st.dataframe(
        frame,
        key=key,
        hide_index=True,
        height=height,
        row_height=64,
        on_select=on_select,
        selection_mode="single-row",
        column_config=usual | columns,
    )


def draw_foot(hint: str, rows: pa.Table, name: str) -> None:
    """Below a list: what a tick does, and the rows to take along."""
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.caption(hint)
        draw_downloads(rows, name)


def draw_pictures(table: EmbeddingTable, row: pa.Table, only_first: bool = False) -> None:
    """The pictures that one row (a table of one) has, side by side."""
    subject, folder = subjects(table, row)[0], quicklook_folder(table)
    names = [""] if only_first else modalities(subject) or [""]
    columns = st.columns(1 if only_first else len(TITLES), wrap=False)
    for column, name in zip(columns, names, strict=False):
        shown = picture(subject, folder, name, PICTURE_PX)
        column.image(shown.png, caption=plain(shown.caption), width="stretch")


def draw_downloads(rows: pa.Table, name: str) -> None:
    """A button per form that the rows can take; the file is made when it is asked for."""
    forms = DOWNLOADS | (MAP_DOWNLOADS if "h3_cell" in rows.column_names else {})
    named = with_ids_as_text(rows)
    with st.popover("Download", icon=":material/download:"):
        for label, form in forms.items():
            ending = ENDINGS[form][0]
            st.download_button(
                label,
                data=partial(encode, named, form),
                file_name=f"{name}{ending}",
                mime=MEDIA_TYPES[form],
                on_click="ignore",
                width="stretch",
                key=f"download {name} {ending}",
            )


def with_ids_as_text(rows: pa.Table) -> pa.Table:
    """Rows whose cells are hexadecimal text: other programs round 64-bit numbers."""
    for i, field in enumerate(rows.schema):
        if is_cell_column(field.name) and pa.types.is_uint64(field.type):
            names = [None if cell is None else cell_to_text(cell) for cell in rows[i].to_pylist()]
            rows = rows.set_column(i, field.name, pa.array(names, pa.string()))
    return rows
