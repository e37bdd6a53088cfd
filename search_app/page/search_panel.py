"""The map tab: the search, the map coloured by it, what was found."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import streamlit as st

from indexer.errors import QueryError
from indexer.geo.cells import cells_to_text, centres, parse_cell
from indexer.labels.feedback import RIGHT, WRONG
from indexer.search.search import OTHER_SENSORS
from indexer.table.embedding_table import EmbeddingTable

from .agreed import HeldError
from .allowed import draw_permission
from .as_code import draw_code, feedback_words, search_words
from .background import degrees
from .cached import BY_SNAPSHOT, read_areas, read_keys, read_kinds
from .feedback_panel import draw_feedback, mark_one, marked
from .finding import Answer, find
from .map_answers import vectors_to_colour
from .map_component import Marks
from .map_panel import draw_map, look_at_chosen
from .plain import plain
from .prototype_panel import typical_rows
from .results import (
    PICTURE_PX,
    PICTURED,
    draw_foot,
    draw_pictures,
    draw_results,
    period,
    picture,
    quicklook_folder,
    subjects,
)
from .session import change, current
from .url_state import View

SHOWN_EXAMPLES = 3
STARTING_POINTS = 6


def draw_search(table: EmbeddingTable) -> None:
    """The whole tab."""
    view = current()
    answer = None
    try:
        answer = find(table, view.question)
    except HeldError:
        raise  # the page shows what it waits for
    except QueryError as error:
        st.error(plain(f"{error}."), icon=":material/error:")
    left, right = st.columns([11, 9], gap="medium")
    kinds = read_kinds(table)
    labels = kinds.labels if kinds else []
    if answer is None:
        with left:  # first: the browser has most to do for it
            draw_map(table, read_areas(table), Marks(), labels)
        with right:
            _draw_welcome(table)
        return
    with right:
        chosen = _draw_answer(table, answer)
    with left:
        draw_map(table, read_areas(table), _marks(view, answer, chosen), labels)


def _marks(view: View, answer: Answer, chosen: int | None) -> Marks:
    unlike = [place for place in view.unlike if place.isalnum()]
    results = cells_to_text(answer.rows["h3_cell"].to_numpy())
    examples = dict.fromkeys(cells_to_text(answer.examples["h3_cell"].to_numpy()))
    return Marks(
        like=[*dict.fromkeys([*(cell for cell in examples if cell not in unlike), *marked(answer, RIGHT)])],
        unlike=[*dict.fromkeys([*unlike, *marked(answer, WRONG)])],
        results=results,
        chosen=results[chosen] if chosen is not None else "",
    )


@st.cache_data(max_entries=4, show_spinner=False, hash_funcs=BY_SNAPSHOT)
def starting_points(table: EmbeddingTable) -> pa.Table:
    """A few rows to begin with: the most typical of each kind, or spread evenly where there are no kinds."""
    kinds, keys = read_kinds(table), read_keys(table)
    if kinds is None:
        spread = keys.cells[np.linspace(0, len(keys.cells) - 1, STARTING_POINTS + 2).astype(int)[1:-1]]
        rows = pa.Table.from_batches(table.scan(PICTURED, cells=spread.tolist()))
        return rows.slice(0, STARTING_POINTS)
    largest = [
        max(np.flatnonzero(kinds.kind == kind).tolist(), key=lambda i: (int(kinds.prototypes.n_rows[i]), -i))
        for kind in range(min(int(kinds.kind.max()) + 1, STARTING_POINTS))
    ]
    named = [(int(kinds.prototypes.region_cell[i]), int(kinds.prototypes.prototype[i])) for i in largest]
    return pa.concat_tables([typical_rows(table, region, number).slice(0, 1) for region, number in named])


def _draw_welcome(table: EmbeddingTable) -> None:
    st.markdown(
        "#### Where else does it look like this?\n"
        "Click a hexagon, or type a cell or a place on the left. The rows most like it are listed here, "
        "and the map is coloured by likeness. Or start from one of these:"
    )
    rows = starting_points(table)
    columns, pictured = st.columns(3, wrap=False), subjects(table, rows)
    for number, subject in enumerate(pictured):
        cell = cells_to_text(rows["h3_cell"].slice(number, 1).to_numpy())[0]
        with columns[number % 3]:
            shown = picture(subject, quicklook_folder(table), "", PICTURE_PX)
            st.image(shown.png, width="stretch", alt=shown.caption)
            st.button(
                "Search", key=f"start {number}", on_click=change, kwargs={"like": (cell,)}, width="stretch"
            )
    draw_permission(table, pictured)


def _draw_answer(table: EmbeddingTable, answer: Answer) -> int | None:
    """Examples, results and the result that is looked at; returns which."""
    _draw_examples(table, answer.examples, current().unlike)
    if not answer.rows.num_rows:
        st.info("Nothing matches the filters. Widen the box or the dates.", icon=":material/filter_alt_off:")
        return None
    st.markdown(f"##### {answer.rows.num_rows} most similar")
    for note in answer.notes:
        if OTHER_SENSORS in note:
            st.warning(plain(f"{note}."), icon=":material/sensors_off:")
    chosen = draw_results(table, answer.rows, str(hash(current().question)), look_at_chosen)
    kept = answer.rows.drop_columns("geometry")
    draw_foot("Tick a row to look closer and to search from it.", kept, "results")
    draw_permission(table, subjects(table, answer.rows))
    if chosen is not None:
        _draw_chosen(table, answer.rows.slice(chosen, 1))
    draw_feedback(table, answer)
    if vectors_to_colour(table, answer) is None:
        st.caption("Too many rows and examples to compare them all here: the map colours the results alone.")
    st.caption(plain(" · ".join((answer.plan, *answer.notes))))
    if answer.ask is None:
        draw_code("search", table, search_words(answer.query, current()))
    else:
        draw_code("feedback", table, *feedback_words(answer.query, answer.marks, current()))
    return chosen


def _draw_examples(table: EmbeddingTable, examples: pa.Table, unlike: Sequence[str]) -> None:
    """What the query was made from."""
    cells = cells_to_text(examples["h3_cell"].to_numpy())
    order = sorted(range(len(cells)), key=lambda i: cells[i] in unlike)
    for number in order[:SHOWN_EXAMPLES]:
        example, cell = examples.slice(number, 1), cells[number]
        row = example.to_pylist()[0]
        left, text = st.columns([1, 3], vertical_alignment="center", wrap=False)
        with left:
            draw_pictures(table, example, only_first=True)
        name = "" if row["sample_id"] == cell else f"**{plain(row['sample_id'])}** "
        lon, lat = (round(float(degree[0]), 4) for degree in centres([row["h3_cell"]]))
        sign = ":orange-badge[less like]" if cell in unlike else ":primary-badge[like]"
        place = f"{degrees(lat, 'NS')} {degrees(lon, 'EW')}"
        text.markdown(f"{sign} {name}`{cell}`  \n{place} · {period(row)}")


def _draw_chosen(table: EmbeddingTable, row: pa.Table) -> None:
    """A closer look at one result, and what to do with it."""
    cell = cells_to_text(row["h3_cell"].to_numpy())[0]
    with st.container(border=True):
        draw_pictures(table, row)
        with st.container(horizontal=True, gap="small"):
            st.button("Search from here", type="primary", on_click=lambda: change(like=(cell,), unlike=()))
            st.button("More like this", icon=":material/add:", on_click=_add, args=("like", cell))
            st.button("Less like this", icon=":material/remove:", on_click=_add, args=("unlike", cell))
            for label in (RIGHT, WRONG):
                st.button(
                    label.capitalize(),
                    key=f"{label} chosen",
                    on_click=mark_one,
                    args=(parse_cell(cell), label),
                )


def _add(name: str, cell: str) -> None:
    change(**{name: tuple(dict.fromkeys((*getattr(current(), name), cell)))})
