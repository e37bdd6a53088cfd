"""The page: tables of embeddings as maps, their prototypes, and SQL. Layout alone; the parts do the work.

Served by serve.py, which `skyhex app` starts, or by hand:
SKYHEX_TABLE=DIR streamlit run search_app/page/serve.py
"""

from pathlib import Path

import streamlit as st

from indexer.errors import QueryError, TableError
from indexer.table.embedding_table import EmbeddingTable
from search_app.page import query_panel
from search_app.page.agreed import HeldError
from search_app.page.bring_panel import draw_bring
from search_app.page.cached import read_areas, read_cells
from search_app.page.change_panel import draw_change
from search_app.page.class_panel import draw_classes
from search_app.page.conditions_panel import draw_conditions, draw_held
from search_app.page.history import keep_history
from search_app.page.makeup_panel import draw_makeup
from search_app.page.map_panel import look_at
from search_app.page.plain import plain
from search_app.page.plane_panel import draw_plane
from search_app.page.saved_panel import draw_saved
from search_app.page.search_panel import draw_search
from search_app.page.session import change, current
from search_app.page.sql_panel import draw_sql
from search_app.page.table_panel import draw_choice, open_chosen
from search_app.page.words import draw_words

TABS = {
    "map": "Map",
    "change": "Change",
    "projection": "Projection",
    "prototypes": "Prototypes",
    "labels": "Labels",
    "sql": "SQL",
}

DRAWN = {
    "map": draw_search,
    "change": draw_change,
    "projection": draw_plane,
    "prototypes": draw_makeup,
    "labels": draw_classes,
    "sql": draw_sql,
}
HERE = Path(__file__).parent
SIDEBAR_PX = 340  # wide enough for a cell, its sign and how often it counts


def draw_page() -> None:
    """All but what keeps the link."""
    with st.sidebar:
        st.markdown("## skyhex")
        draw_choice()
        table = open_chosen()
        draw_badges(table)
        cells = read_cells(table).cell
        query_panel.draw_query(cells, on_place=look_at)
        draw_words()
        draw_bring(table, cells)
        query_panel.draw_options(table, has_prototypes=table.sidecar("prototypes") is not None)
        draw_conditions(table, read_areas(table))
        draw_saved(table)
    if not table.row_count:
        st.info("The table has no rows yet. Fill it with `skyhex embed CATALOG -t DIR --chips`.")
        return
    draw_tabs(table)


def draw_badges(table: EmbeddingTable) -> None:
    """What the table is."""
    with st.container(horizontal=True, gap="xsmall"):
        st.badge(f"{table.row_count:,} rows", color="gray")
        st.badge(f"snapshot {table.snapshot}", color="gray")
        # `st.badge` would escape brackets a second time, which undoes it
        st.markdown(f":gray-badge[{plain(table.model.name)}]", help=plain(table.model), width="content")
        if not table.model.trained:
            st.badge("untrained", color="orange", icon=":material/warning:")
        if table.simulated:
            st.badge("simulated", color="orange", icon=":material/science:")


def draw_tabs(table: EmbeddingTable) -> None:
    """The tabs, of which the open one alone is drawn."""
    st.session_state["tab"] = TABS[current().tab]
    names = {label: name for name, label in TABS.items()}
    tabs = st.tabs(
        list(TABS.values()), key="tab", on_change=lambda: change(tab=names[st.session_state["tab"]])
    )
    for tab, name in zip(tabs, TABS, strict=True):
        if tab.open:
            with tab:
                try:
                    DRAWN[name](table)
                except HeldError:
                    draw_held()
                except (QueryError, TableError) as error:
                    st.error(plain(error), icon=":material/error:")


st.set_page_config("skyhex", str(HERE / "icon.svg"), layout="wide", initial_sidebar_state=SIDEBAR_PX)
st.html(HERE / "page.css")
try:
    draw_page()
except TableError as error:
    st.error(plain(error), icon=":material/error:")
keep_history()
