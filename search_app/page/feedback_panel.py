"""Below the results: results marked right or wrong, in rounds, and the search that they teach.

Marks wait in the session until their round is put; then they are a version of a set of labels, which the link
names. So each round is a step of the browser's history, and a set is found again with its question.
"""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import pandas as pd
import pyarrow as pa
import streamlit as st

from indexer.geo.cells import cells_to_text
from indexer.labels.feedback import RIGHT, WRONG, Round, last_round, rounds_of
from indexer.labels.store import read_labels
from indexer.table.embedding_table import EmbeddingTable

from .finding import Answer
from .label_place import draw_problem, keep, newest, place_of
from .results import picture, quicklook_folder, subjects
from .session import bound, change, current
from .url_state import View

ASKED = 10  # rows to mark in a round
PICTURE_PX = 92  # wide enough for both answers
NEXT_BEST, UNCERTAIN = "the best", "uncertain and random ones"
_MARKS, _ORDER, _RULE, _APART = "marks", "marks order", "marks rule", "marks apart"


def waiting_marks() -> dict[int, str]:
    """What was marked of the question since its last round."""
    marks: dict[tuple[str, str], dict[int, str]] = st.session_state.get(_MARKS, {})
    return marks.get(_asked(), {})


def mark_one(cell: int, label: str) -> None:
    """Mark a result; the same once more takes the mark back. For callbacks."""
    marks = waiting_marks()
    without = {other: said for other, said in marks.items() if other != cell}
    _wait(without if marks.get(cell) == label else without | {cell: label})


def _wait(marks: dict[int, str]) -> None:
    st.session_state[_MARKS] = st.session_state.get(_MARKS, {}) | {_asked(): marks}


def _asked() -> tuple[str, str]:
    """The table and the set that marks wait for."""
    return current().table, set_of(current())


def set_of(view: View) -> str:
    """The set of labels that a question's marks are kept in: that of the link, or its own."""
    if view.marks:
        return view.marks.partition("/")[0]
    asked = "\n".join((*sorted(view.like), "", *sorted(view.unlike)))
    return f"feedback-{blake2b(asked.encode(), digest_size=5).hexdigest()}"


def marked(answer: Answer, label: str) -> list[str]:
    """Hex ids of what was marked right, or wrong, in earlier rounds and since."""
    earlier = {cell: RIGHT if is_right else WRONG for cell, is_right in answer.marks.items()}
    return cells_to_text([cell for cell, said in (earlier | waiting_marks()).items() if said == label])


def draw_feedback(table: EmbeddingTable, answer: Answer) -> None:
    """What to mark, the rounds so far, and how they teach."""
    view = current()
    with st.expander("Teach this search", key="teach", icon=":material/school:"):
        _draw_kept(table, view)
        rounds = _rounds(table, view)
        if rounds:
            _draw_rounds(rounds)
        st.caption("Say which are right. Marks may come from the map's card and from the results, too.")
        _draw_asked(table, _to_mark(answer))
        marks = waiting_marks()
        draw_problem(table)
        with st.container(horizontal=True, gap="small"):
            st.button(
                f"Next round · {len(marks)} marked", type="primary", disabled=not marks, on_click=_put_round,
                args=(table,),
            )  # fmt: skip
            st.button("Undo round", disabled=not rounds, on_click=_undo_round, args=(table,))
        _draw_rule()
        if view.marks:
            st.caption(
                f"The marks are kept as labels, `{set_of(view)}`, and found again with their question."
            )


def _draw_kept(table: EmbeddingTable, view: View) -> None:
    """Marks that this question was given before."""
    name = set_of(view)
    version, labels = newest(table, name)
    if len(labels) and not view.marks:
        st.button(
            f"Take up {len(labels)} marks of before", on_click=change, kwargs={"marks": f"{name}/{version}"}
        )


def _rounds(table: EmbeddingTable, view: View) -> list[Round]:
    name, _, version = view.marks.partition("/")
    return rounds_of(read_labels(place_of(table), name, int(version))) if version else []


def _draw_rounds(rounds: Sequence[Round]) -> None:
    frame = pd.DataFrame(
        {
            "round": range(1, len(rounds) + 1),
            "right": [f"{said.right} of {said.marked}" for said in rounds],
            "precision": [said.right / said.marked for said in rounds],
        }
    )
    st.dataframe(
        frame,
        hide_index=True,
        column_config={
            "round": st.column_config.NumberColumn(width=60),
            "right": st.column_config.TextColumn(width=90),
            "precision": st.column_config.ProgressColumn("of what was marked", format="percent"),
        },
    )


def _to_mark(answer: Answer) -> pa.Table:
    """The rows of the next round: the best, or half those nearest to the border, half drawn."""
    if answer.ask is None or st.session_state.get(_ORDER) == NEXT_BEST:
        return _each_cell(answer.rows).slice(0, ASKED)
    return _each_cell(answer.ask).slice(0, ASKED)


def _each_cell(rows: pa.Table) -> pa.Table:
    """The first row of each cell: marks are of cells, and several periods of one may be found."""
    _, first = np.unique(rows["h3_cell"].to_numpy(), return_index=True)
    return rows.take(pa.array(np.sort(first)))


def _draw_asked(table: EmbeddingTable, rows: pa.Table) -> None:
    """A picture of each row, and the two answers."""
    marks = waiting_marks()
    with st.container(horizontal=True, gap="small"):
        for cell, subject in zip(rows["h3_cell"].to_pylist(), subjects(table, rows), strict=True):
            shown = picture(subject, quicklook_folder(table))
            with st.container(width=PICTURE_PX, gap="xsmall"):
                st.image(shown.png, width=PICTURE_PX, alt=shown.caption)
                _draw_answers(cell, marks.get(cell))


def _draw_answers(cell: int, said: str | None) -> None:
    """Right and wrong, side by side."""
    with st.container(horizontal=True, gap="xsmall"):
        for label, icon in ((RIGHT, ":material/check:"), (WRONG, ":material/close:")):
            st.button(
                f"{label.capitalize()}: {cell:x}",
                icon=icon,
                key=f"mark {label} {cell:x}",
                help=label.capitalize(),
                type="primary" if said == label else "secondary",
                on_click=mark_one,
                args=(cell, label),
            )


def _draw_rule() -> None:
    st.session_state.setdefault(_ORDER, UNCERTAIN)
    with st.container(horizontal=True, gap="small"):
        st.selectbox("Mark next", [UNCERTAIN, NEXT_BEST], key=_ORDER, width=240)
        st.selectbox(
            "Taught by", ["linear", "rocchio"], **bound("rule", key=_RULE), width=180,
            format_func={"linear": "a linear head", "rocchio": "Rocchio's rule"}.__getitem__,
        )  # fmt: skip
        st.number_input(
            "Leave out within, km", 0.0, **bound("apart_km", key=_APART), width=180,
            help="Neighbours look alike: results this near to what was marked say nothing.",
        )  # fmt: skip


def _put_round(table: EmbeddingTable) -> None:
    name = set_of(current())
    if keep(table, name, waiting_marks()):
        _wait({})
        change(marks=f"{name}/{newest(table, name)[0]}")


def _undo_round(table: EmbeddingTable) -> None:
    """Take back the marks of the last round of those that are shown."""
    name, _, version = current().marks.partition("/")
    shown = read_labels(place_of(table), name, int(version))
    if keep(table, name, dict.fromkeys(last_round(shown))):
        number, left = newest(table, name)
        change(marks=f"{name}/{number}" if len(left) else "")
