"""The change tab: two periods side by side, what changed most, one cell through all periods."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import h3
import pandas as pd
import pyarrow as pa
import streamlit as st

from indexer.geo.cells import cell_to_text, cells_to_text
from indexer.search.words import period_of
from indexer.table.embedding_table import EmbeddingTable

from .allowed import draw_permission
from .as_code import draw_code
from .background import Extent
from .cached import read_kinds
from .changed import greatest_changes, sides_of, through_time
from .map_component import Marks, Scene, mount_map
from .map_panel import draw_focus, looks, question_address, take
from .periods import periods_of
from .plain import plain
from .question import conditions_of
from .results import (
    PICTURE_PX,
    draw_foot,
    draw_list,
    period,
    picture,
    quicklook_folder,
    subjects,
    thumbnails,
)
from .session import bound, can_undo, change, current, look_for
from .url_state import SHADES, View

LINK = "change"  # of the two maps
PICTURED = 30  # changes that have pictures in the list
TIMES = 40  # rows of a cell that have pictures, the last
ONE_PERIOD = (
    "All rows of this table are of one period, {period}: there is nothing to compare them with. "
    "Embed the same places in another, `skyhex embed CATALOG -t DIR --start 2020 --end 2021`, or import it "
    "into this table; then both are here."
)


def draw_change(table: EmbeddingTable) -> None:
    """The whole tab."""
    periods = periods_of(table)
    if len(periods) < 2:
        st.info(ONE_PERIOD.format(period=plain(periods[0])), icon=":material/compare:")
        return
    view = chosen_periods(current(), periods)
    _draw_choices(table, periods, view)
    period_of(view.before), period_of(view.after)  # a link's may be none: said before any map
    rows = greatest_changes(table, view.comparison, view.k)
    home = draw_focus(table, view.seen if h3.is_valid_cell(view.seen) else "")
    for column, side in zip(st.columns(2, gap="small"), ("before", "after"), strict=True):
        with column:
            _draw_map(table, view, side, home)
    left, right = st.columns([11, 9], gap="medium")
    with left:
        _draw_greatest(table, view, rows)
    with right:
        _draw_timeline(table, view)


def chosen_periods(view: View, periods: list[str]) -> View:
    """The view with both periods: what the link says, else the first and the last of the table's."""
    return replace(view, before=view.before or periods[0], after=view.after or periods[-1])


def map_address(view: View, word: str) -> tuple[str, str]:
    """What the map of one period measures, and the query of the address that has it."""
    if view.shade == "similarity" and (view.like or view.unlike):
        period = period_of(word)
        assert period.start
        assert period.end
        return "similarity", question_address(replace(view, start=period.start.date(), end=period.end.date()))
    return "change", urlencode(view.comparison.to_params(), doseq=True)


def _draw_choices(table: EmbeddingTable, periods: list[str], view: View) -> None:
    before, after, shade = st.columns([1, 1, 2], vertical_alignment="bottom")
    for column, name, label in ((before, "before", "From"), (after, "after", "To")):
        shown = getattr(view, name)
        column.selectbox(label, [*dict.fromkeys((*periods, shown))], **bound(name, shown))
    missing = {"prototype": read_kinds(table) is None, "similarity": not (view.like or view.unlike)}
    shade.segmented_control(
        "Colour by", [name for name in SHADES if not missing.get(name)], **bound("shade"), required=True,
        format_func=str.capitalize,
        help="Change is 1 less the cosine of a place's two vectors. Similarity is to the question of the "
        "map tab, in each period.",
    )  # fmt: skip


def _draw_map(table: EmbeddingTable, view: View, side: str, home: Extent) -> None:
    """One period, "before" or "after", moved as the other is."""
    word = getattr(view, side)
    measure, question = map_address(view, word)
    kinds = read_kinds(table)
    seen = view.seen if h3.is_valid_cell(view.seen) else ""
    st.markdown(f"##### {plain(word)}")
    scene = Scene(
        snapshot=table.snapshot,
        question=question,
        marks=Marks(chosen=seen, like=[place for place in view.like if h3.is_valid_cell(place)]),
        home=home,
        look=looks(),
        colour="prototype" if view.shade == "prototype" else "similarity",
        kinds=kinds.labels if kinds and view.shade == "prototype" else [],
        canUndo=can_undo(),
        measure=measure,
        period=word,
        link=LINK,
        tells=True,
    )
    mount_map(scene, f"map of {side}", take)


def change_frame(rows: pa.Table, before: list[str], after: list[str]) -> pd.DataFrame:
    """The columns that people read, one line per change; there may be fewer pictures."""
    none = [None] * rows.num_rows
    cells = cells_to_text(rows["h3_cell"].to_numpy())
    columns: dict[str, Any] = {
        "before": [*before, *none][: rows.num_rows],
        "after": [*after, *none][: rows.num_rows],
        "rank": rows["rank"].to_pylist(),
        "change": rows["change"].to_pylist(),
        "cell": cells,
        "place": rows["sample_id"].to_pylist(),
        "from": [_period(row, "before") for row in rows.to_pylist()],
        "to": [_period(row, "after") for row in rows.to_pylist()],
        "lon": rows["lon"].to_pylist(),
        "lat": rows["lat"].to_pylist(),
    }
    if columns["place"] == cells:
        del columns["place"]
    return pd.DataFrame(columns)


def _period(row: Mapping[str, Any], when: str) -> str:
    return period({name: row[f"{when}_{name}"] for name in ("start_datetime", "end_datetime")})


def _draw_greatest(table: EmbeddingTable, view: View, rows: pa.Table) -> None:
    if not rows.num_rows:
        st.info(
            "No place has a row in both periods. Choose others, or clear the filters.",
            icon=":material/filter_alt_off:",
        )
        return
    st.markdown(f"##### {rows.num_rows} greatest changes")
    sides, folder = sides_of(table, rows.slice(0, PICTURED)), quicklook_folder(table)
    pictured = [subjects(table, side) for side in sides]
    frame = change_frame(rows, *(thumbnails(side, folder) for side in pictured))
    key = f"changes {hash(view.comparison)}"
    draw_list(
        frame,
        key,
        lambda: _look(frame, st.session_state[key].selection.rows),
        change=st.column_config.NumberColumn(format="%.3f", width=70),
    )
    draw_foot("Tick a row, or click a cell of either map, to follow it through time.", rows, "changes")
    draw_permission(table, [subject for side in pictured for subject in side])
    words = {"before": view.before, "after": view.after, "k": view.k, **conditions_of(view.comparison)}
    draw_code("changes", table, words)


def _look(frame: pd.DataFrame, rows: list[int]) -> None:
    change(seen=frame["cell"][rows[0]] if rows else "")


def _draw_timeline(table: EmbeddingTable, view: View) -> None:
    """The rows of the cell that is looked at, in order of time, with how far each is from those before."""
    if not h3.is_valid_cell(view.seen):
        st.markdown("##### One cell through time")
        st.caption("None is looked at yet.")
        return
    changes, rows = through_time(table, h3.str_to_int(view.seen))
    st.markdown(f"##### {cell_to_text(h3.str_to_int(view.seen))}")
    lines = changes.to_pylist()
    shown = pd.DataFrame({name: changes[name].to_pylist() for name in ("sample_id", "since_first")})
    shown["begins"] = [line["start_datetime"].replace(tzinfo=None) for line in lines]
    if len(lines) > 2:
        st.line_chart(
            shown.fillna({"since_first": 0.0}),
            x="begins", y="since_first", color="sample_id" if shown["sample_id"].nunique() > 1 else None,
            y_label="change", x_label="", height=200,
        )  # fmt: skip
    with st.container(horizontal=True, gap="small"):
        for line, subject in [*zip(lines, subjects(table, rows), strict=True)][-TIMES:]:
            drawn = picture(subject, quicklook_folder(table), "", PICTURE_PX)
            changed = "" if line["change"] is None else f" · {line['change']:.3f}"
            st.image(drawn.png, caption=plain(f"{period(line)}{changed}"), width=150)
    st.caption(
        "The line is the change since the first period; beside each picture, that from the one before."
    )
    st.button("Search from here", icon=":material/search:", on_click=look_for, args=(view.seen,))
