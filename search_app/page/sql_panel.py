"""SQL over the table: an editor with examples, the answer, and the way to take it along."""

import time

import pandas as pd
import pyarrow as pa
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from indexer.errors import QueryError
from indexer.sql.run import run_sql
from indexer.table.embedding_table import EmbeddingTable

from ..output import records
from ..page_settings import page_settings
from .cached import table_key
from .plain import plain
from .results import draw_downloads
from .session import change, current
from .sql_places import draw_places

EXAMPLES = {
    "Rows per coarse cell": """\
SELECT h3_string(h3_parent(h3_cell, 5)) AS parent, count(*) AS n_rows, avg(valid_fraction) AS valid
FROM embeddings
GROUP BY 1
ORDER BY n_rows DESC""",
    "Nearest to one cell": """\
SELECT h3_cell, sample_id, round(similarity, 4) AS similarity
FROM nearest((SELECT min(h3_cell) FROM embeddings), 20)""",
    "Prototypes by size": """\
SELECT region_cell, prototype, count(*) AS n_rows, round(avg(prototype_similarity), 3) AS similarity
FROM prototypes
WHERE prototype IS NOT NULL
GROUP BY ALL
ORDER BY n_rows DESC
LIMIT 50""",
    "What each row was made of": """\
SELECT h3_cell, sample_id, start_datetime, end_datetime, n_hr, n_s2, n_s1, cloud_fraction
FROM embeddings
ORDER BY cloud_fraction
LIMIT 100""",
}
_TEXT, _SHOWN, _RUN, _ANSWER = "sql text", "sql shown", "sql run", "sql answer"


def draw_sql(table: EmbeddingTable) -> None:
    """The whole tab."""
    if st.session_state.get(_SHOWN) != current().sql:  # another view: a link's, a saved one, one gone back to
        st.session_state[_SHOWN] = current().sql
        st.session_state[_TEXT] = current().sql or st.session_state.get(_TEXT, "")
    st.session_state.setdefault(_TEXT, next(iter(EXAMPLES.values())))
    st.pills(
        "Examples", list(EXAMPLES), key="sql example", on_change=_take_example, label_visibility="collapsed"
    )
    st.text_area("SQL", key=_TEXT, height=170, label_visibility="collapsed")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Run", type="primary", icon=":material/play_arrow:", on_click=_run)
        st.caption(
            "DuckDB SQL, SELECT and EXPLAIN alone. Views: `embeddings`, `prototypes`, `regions`. "
            "Macros: `h3_parent(cell, resolution)`, `h3_string(cell)`, `similarity(a, b)`."
        )
    statement = current().sql
    if statement and st.session_state.get(_RUN) == statement:
        _draw_answer(table, answer(table, statement))
    elif statement:
        st.info("This statement was not run here. Read it, then press Run.", icon=":material/link:")


def answer(table: EmbeddingTable, statement: str) -> pa.Table | str:
    """The rows that a statement selects, or why there are none; kept until another is run.

    A query ends at its limits, when another thing is asked of the page, and when the browser leaves.
    """
    asked = table_key(table), statement
    kept: tuple[object, pa.Table | str] | None = st.session_state.get(_ANSWER)
    if kept is None or kept[0] != asked:
        place = st.empty()
        kept = st.session_state[_ANSWER] = asked, _ask(table, statement, place)
        place.empty()
    return kept[1]


def _ask(table: EmbeddingTable, statement: str, place: DeltaGenerator) -> pa.Table | str:
    limits, began = page_settings().limits, time.monotonic()
    most = f" of {limits.timeout_s:g}" if limits.timeout_s else ""

    def waiting() -> None:
        """Whatever is written to the page ends its run where that is to end."""
        place.caption(f"Running, {time.monotonic() - began:.0f}{most} s")

    try:
        return run_sql(table, statement, limits, waiting)
    except QueryError as error:
        return str(error)


def _draw_answer(table: EmbeddingTable, rows: pa.Table | str) -> None:
    if isinstance(rows, str):
        st.error(plain(rows), icon=":material/error:")
        return
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(f"**{rows.num_rows:,} rows**")
        draw_downloads(rows, "query")
    st.dataframe(pd.DataFrame(records(rows), columns=rows.column_names), hide_index=True)
    draw_places(table, rows)


def _run() -> None:
    """What a person asks for: a link alone runs nothing."""
    statement = st.session_state[_TEXT].strip()
    st.session_state[_RUN] = statement
    st.session_state.pop(_ANSWER, None)
    change(sql=statement)


def _take_example() -> None:
    if st.session_state["sql example"]:
        st.session_state[_TEXT] = EXAMPLES[st.session_state["sql example"]]
        _run()
