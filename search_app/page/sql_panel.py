"""SQL over the table: an editor with examples, the answer, and the way to take it along."""

import pandas as pd
import pyarrow as pa
import streamlit as st

from indexer.errors import QueryError
from indexer.sql.run import run_sql
from indexer.table.embedding_table import EmbeddingTable

from ..output import records
from .cached import BY_SNAPSHOT
from .plain import plain
from .results import draw_downloads
from .session import change, current

SHOWN_ROWS = 2_000
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
_TEXT = "sql text"


@st.cache_data(max_entries=8, show_spinner="Running the query", hash_funcs=BY_SNAPSHOT)
def answer(table: EmbeddingTable, query: str) -> pa.Table:
    """The rows that a statement selects. Raises `QueryError`."""
    return run_sql(table, query)


def draw_sql(table: EmbeddingTable) -> None:
    """The whole tab."""
    st.session_state.setdefault(_TEXT, current().sql or next(iter(EXAMPLES.values())))
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
    if current().sql:
        _draw_answer(table, current().sql)


def _draw_answer(table: EmbeddingTable, query: str) -> None:
    try:
        rows = answer(table, query)
    except QueryError as error:
        st.error(plain(error), icon=":material/error:")
        return
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        shown = "" if rows.num_rows <= SHOWN_ROWS else f", the first {SHOWN_ROWS:,} shown"
        st.markdown(f"**{rows.num_rows:,} rows**{shown}")
        draw_downloads(rows, "query")
    st.dataframe(pd.DataFrame(records(rows.slice(0, SHOWN_ROWS)), columns=rows.column_names), hide_index=True)


def _run() -> None:
    change(sql=st.session_state[_TEXT].strip())


def _take_example() -> None:
    if st.session_state["sql example"]:
        st.session_state[_TEXT] = EXAMPLES[st.session_state["sql example"]]
        _run()
