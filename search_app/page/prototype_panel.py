"""The prototypes tab: what each region is made of, where each part lies, and what it looks like."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import streamlit as st

from indexer.geo.cells import cell_to_text, cells_to_text
from indexer.prototypes.regional import Prototypes, cells_of_prototype
from indexer.table.embedding_table import EmbeddingTable

from .background import degrees
from .cached import BY_SNAPSHOT, Kinds, RowKeys, read_keys, read_kinds
from .colours import kind_css
from .kinds import kind_name
from .map_cells import extent_of, middle
from .map_component import Marks, Scene, mount_map
from .question import PROTOTYPE
from .results import picture, quicklook_folder, row_keys, rows_by_key, subjects
from .session import bound, change, current

TYPICAL = 6  # pictures of a prototype
NO_PROTOTYPES = "This table has no prototypes yet. `skyhex prototypes fit` finds what each region is made of."
ALIKE = 5  # prototypes of other regions
_REGION = "prototype region"


def draw_prototypes(table: EmbeddingTable) -> None:
    """The whole tab."""
    kinds = read_kinds(table)
    if kinds is None:
        st.info(NO_PROTOTYPES, icon=":material/category:")
        return
    region, number = _chosen(kinds.prototypes)
    left, right = st.columns([9, 11], gap="medium")
    with left:
        _draw_region(kinds, read_keys(table), region, number)
    with right:
        _draw_map(table, kinds, region, number)
        if number is not None:
            _draw_typical(table, region, number)
    if number is not None:
        with left:
            _draw_alike(kinds.prototypes, region, number)


def prototype_frame(kinds: Kinds, region: int) -> pd.DataFrame:
    """One line per prototype of a region, the largest first."""
    mine = kinds.prototypes.region_cell == np.uint64(region)
    rows = kinds.prototypes.n_rows[mine]
    frame = pd.DataFrame(
        {
            "prototype": kinds.prototypes.prototype[mine],
            "kind": [kind_name(kind) for kind in kinds.kind[mine].tolist()],
            "share": rows / max(rows.sum(), 1),
            "rows": rows,
        }
    )
    return frame.sort_values(["share", "prototype"], ascending=[False, True], ignore_index=True)


@st.cache_data(max_entries=64, show_spinner=False, hash_funcs=BY_SNAPSHOT)
def typical_rows(table: EmbeddingTable, region: int, number: int) -> pa.Table:
    """The rows of a prototype that are most like it, with footprints and sources."""
    keys = cells_of_prototype(table, region, number).slice(0, TYPICAL)
    return rows_by_key(table, row_keys(keys))


def _chosen(prototypes: Prototypes) -> tuple[int, int | None]:
    """The region and the prototype that the link asks for; the largest region where it asks for none."""
    region, _, number = current().prototype.partition("/")
    known = dict(zip(cells_to_text(prototypes.regions), prototypes.regions.tolist(), strict=True))
    if region not in known:
        return largest_region(prototypes), None
    count = len(prototypes.of_region(known[region]))
    return known[region], int(number) if number.isdecimal() and int(number) < count else None


def largest_region(prototypes: Prototypes) -> int:
    """The region of the most rows."""
    sizes = [prototypes.n_rows[prototypes.region_cell == region].sum() for region in prototypes.regions]
    return int(prototypes.regions[int(np.argmax(sizes))])


def _draw_region(kinds: Kinds, keys: RowKeys, region: int, number: int | None) -> None:
    """Choice of the region, and its prototypes with their shares."""
    regions = cells_to_text(kinds.prototypes.regions)
    st.selectbox(
        f"Region · one of {len(regions)}",
        regions,
        format_func=lambda name: region_label(keys, int(name, 16)),
        **bound("prototype", cell_to_text(region), _REGION),
    )
    frame = prototype_frame(kinds, region)
    key = f"prototypes of {cell_to_text(region)}"
    ticked = [] if number is None else frame.index[frame["prototype"] == number].tolist()
    st.dataframe(
        frame.style.map(kind_style, subset=["kind"]),
        key=key,
        hide_index=True,
        height=min(430, 38 + 35 * len(frame)),
        on_select=lambda: _take_row(region, frame, st.session_state[key].selection.rows),
        selection_mode="single-row",
        selection_default={"selection": {"rows": ticked}},
        column_config={
            "prototype": st.column_config.NumberColumn("prototype", width=80, format="%d"),
            "kind": st.column_config.TextColumn("kind", width=50, help="Alike prototypes share a kind."),
            "share": share_column("share of the region", frame),
            "rows": st.column_config.NumberColumn("rows", width=60),
        },
    )


def share_column(label: str, frame: pd.DataFrame) -> Any:
    """A frame's shares as bars, the largest full."""
    most = float(frame["share"].max())
    return st.column_config.ProgressColumn(label, format="percent", min_value=0, max_value=most)


def _take_row(region: int, frame: pd.DataFrame, rows: Sequence[int]) -> None:
    """A row ticked: look at its prototype; unticked: at the region."""
    name = cell_to_text(region)
    change(prototype=f"{name}/{frame['prototype'][rows[0]]}" if rows else name)


def _draw_map(table: EmbeddingTable, kinds: Kinds, region: int, number: int | None) -> None:
    """The region's cells by kind, or those of one prototype alone."""
    keys = read_keys(table)
    mine = keys.region == np.uint64(region)
    rows = mine if number is None else mine & (keys.prototype == number)
    name = "All prototypes, by kind" if number is None else f"Prototype {number} · {rows.sum():,} rows"
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(f"##### {name}")
        if number is not None:
            st.button(
                "Search like this prototype", type="primary", icon=":material/search:", on_click=_search_like,
                args=(region, number),
            )  # fmt: skip
    scene = Scene(
        snapshot=table.snapshot,
        question="",
        marks=Marks(),
        home=extent_of(keys.cells[mine]),
        look=region % 2**31,
        colour="prototype",
        prototype=cell_to_text(region) if number is None else f"{cell_to_text(region)}/{number}",
        kinds=kinds.labels,
        asks=False,
    )
    mount_map(scene, "prototype map", lambda ask: None)


def _draw_typical(table: EmbeddingTable, region: int, number: int) -> None:
    rows = typical_rows(table, region, number)
    st.caption("Most typical of it")
    for column, subject in zip(
        st.columns(TYPICAL, gap="xsmall", wrap=False), subjects(table, rows), strict=False
    ):
        shown = picture(subject, quicklook_folder(table))
        column.image(shown.png, width="stretch", alt=shown.caption)


def _draw_alike(prototypes: Prototypes, region: int, number: int) -> None:
    """The prototypes of other regions most like one."""
    alike = prototypes.like(region, number, ALIKE)
    if not alike.num_rows:
        return
    st.caption("Alike in other regions")
    with st.container(horizontal=True, gap="small"):
        for row in alike.to_pylist():
            region_name = cell_to_text(row["region_cell"])
            name = f"{region_name}/{row['prototype']}"
            label = f"{region_name.rstrip('f')}/{row['prototype']} · {row['similarity']:.2f}"
            st.button(label, key=f"alike {name}", on_click=change, kwargs={"prototype": name})


def _search_like(region: int, number: int) -> None:
    change(
        like=(f"{PROTOTYPE}{cell_to_text(region)}/{number}",),
        unlike=(),
        tab="map",
        colour="similarity",
        area="",
    )


def region_label(keys: RowKeys, region: int) -> str:
    """Where a region lies, and how many rows it has."""
    mine = keys.cells[keys.region == np.uint64(region)]
    lon, lat = middle(mine)
    place = f"{degrees(round(lat, 2), 'NS')} {degrees(round(lon, 2), 'EW')}"
    return f"{place} · {len(mine):,} rows · {cell_to_text(region)}"


def kind_style(name: str) -> str:
    """The colour of a kind, by its name, as CSS."""
    return f"color: {kind_css(ord(name[-1]) - ord('A'))}"
