"""Outliers: the rows of a region that are least like what it is made of."""

from dataclasses import replace

import pandas as pd
import pyarrow as pa
import streamlit as st

from indexer.geo.cells import cell_to_text, cells_to_text
from indexer.prototypes.regional import outdated
from indexer.search.outliers import outliers
from indexer.table.embedding_table import EmbeddingTable

from .allowed import draw_permission
from .as_code import draw_code
from .cached import BY_SNAPSHOT, Kinds, read_cells, read_keys, read_kinds
from .map_cells import extent_of
from .map_component import Marks, Scene, mount_map
from .plain import plain
from .prototype_panel import NO_PROTOTYPES, largest_region, region_label
from .question import conditions_of, to_filter
from .results import (
    MAX_THUMBNAILS,
    draw_foot,
    draw_list,
    draw_pictures,
    period,
    quicklook_folder,
    row_keys,
    rows_by_key,
    subjects,
    thumbnails,
)
from .session import bound, current, look_for
from .url_state import View

ALL = "all"
_REGION = "outliers of"


def draw_outliers(table: EmbeddingTable) -> None:
    """The outliers listed and on the map."""
    kinds = read_kinds(table)
    if kinds is None:
        st.info(NO_PROTOTYPES, icon=":material/category:")
        return
    names = cells_to_text(kinds.prototypes.regions)
    region = current().prototype.partition("/")[0]
    if region not in (ALL, *names):
        region = cell_to_text(largest_region(kinds.prototypes))
    asked = current() if region == ALL else replace(current(), cells=(region,))
    left, right = st.columns([11, 9], gap="medium")
    with right:
        _draw_region(table, names, region)
        rows = least_alike(table, asked.question, asked.k)
        chosen = _draw_list(table, rows)
        draw_code("outliers", table, {"k": asked.k, **conditions_of(asked)})
    with left:
        _draw_map(table, kinds, region, rows, chosen)


@st.cache_data(max_entries=16, show_spinner="Looking for what is rare", hash_funcs=BY_SNAPSHOT)
def least_alike(table: EmbeddingTable, asked: View, k: int) -> pa.Table:
    """As `indexer.search.outliers.outliers` has them. Raises `QueryError`."""
    return outliers(table, k, to_filter(asked))


def outlier_frame(rows: pa.Table, pictures: list[str]) -> pd.DataFrame:
    """The columns that people read, one line per outlier; there may be fewer pictures."""
    lines = rows.to_pylist()
    return pd.DataFrame(
        {
            "picture": [*pictures, *[None] * (len(lines) - len(pictures))],
            "rank": [line["rank"] for line in lines],
            "similarity": [line["prototype_similarity"] for line in lines],
            "cell": cells_to_text(rows["h3_cell"].to_numpy()),
            "prototype": [
                f"{cell_to_text(line['region_cell']).rstrip('f')}/{line['prototype']}" for line in lines
            ],
            "place": [line["sample_id"] for line in lines],
            "period": [period(line) for line in lines],
            "lon": [line["lon"] for line in lines],
            "lat": [line["lat"] for line in lines],
        }
    )


def _draw_region(table: EmbeddingTable, names: list[str], region: str) -> None:
    keys = read_keys(table)
    st.selectbox(
        "Region", [ALL, *names], **bound("prototype", region, _REGION),
        format_func=lambda name: "All regions" if name == ALL else region_label(keys, int(name, 16)),
        help="A region takes the place of the cells that the conditions name; all others hold here, too.",
    )  # fmt: skip


def _draw_list(table: EmbeddingTable, rows: pa.Table) -> int | None:
    """The list, and a closer look at the row that is ticked; returns which."""
    if note := outdated(table):
        st.caption(plain(note))
    if not rows.num_rows:
        st.info("No row with a prototype matches the conditions.", icon=":material/filter_alt_off:")
        return None
    whole = rows_by_key(table, row_keys(rows))
    pictured = subjects(table, whole)
    frame = outlier_frame(rows, thumbnails(pictured[:MAX_THUMBNAILS], quicklook_folder(table)))
    st.markdown(f"##### {rows.num_rows} least like their region")
    event = draw_list(
        frame,
        f"outliers {hash((current().question, current().prototype))}",
        "rerun",
        similarity=st.column_config.NumberColumn(
            format="%.3f", width=82, help="To the prototype that the row is most like, of its region's."
        ),
    )
    draw_foot("Tick a row to look closer.", rows, "outliers")
    draw_permission(table, pictured)
    ticked = [number for number in event.selection.rows if number < rows.num_rows]
    if not ticked:
        return None
    with st.container(border=True):
        draw_pictures(table, whole.slice(ticked[0], 1))
        st.button(
            "Search from here", type="primary", icon=":material/search:", on_click=look_for,
            args=(frame["cell"][ticked[0]],),
        )  # fmt: skip
    return int(ticked[0])


def _draw_map(table: EmbeddingTable, kinds: Kinds, region: str, rows: pa.Table, chosen: int | None) -> None:
    """The prototypes' kinds, and the outliers by rank; of all regions, that of the row that is ticked."""
    keys, results = read_keys(table), cells_to_text(rows["h3_cell"].to_numpy())
    seen = 0 if region == ALL else int(region, 16)
    if region == ALL and chosen is not None:
        seen = rows["region_cell"][chosen].as_py()
    scene = Scene(
        snapshot=table.snapshot,
        question="",
        marks=Marks(results=results, chosen=results[chosen] if chosen is not None else ""),
        home=extent_of(keys.cells[keys.region == seen] if seen else read_cells(table).cell),
        look=seen % 2**31,
        colour="prototype",
        prototype="" if region == ALL else region,
        kinds=kinds.labels,
        asks=False,
    )
    mount_map(scene, "outlier map", lambda ask: None)
