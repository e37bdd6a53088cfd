"""Questions are steps: undone one by one, gone back to, never forgotten by a click."""

import json

import h3
from streamlit.testing.v1 import AppTest

from ..make_table import CELLS

A, B, C = (h3.int_to_str(cell) for cell in CELLS[:3])


def script() -> None:
    """A page that changes its view as it is told."""
    import json

    import streamlit as st

    from search_app.page import session

    for name, value in json.loads(st.session_state.get("do", "[]")):
        if name == "change":
            session.change(**{key: tuple(v) if isinstance(v, list) else v for key, v in value.items()})
        elif name == "undo":
            session.undo()
        else:
            session.go_to(value)
    st.session_state["do"] = "[]"
    session.keep_in_url()
    st.text(f"{','.join(session.current().like)} {session.can_undo()}")


class Page:
    """The page above, and what happens on it."""

    def __init__(self, **params: str) -> None:
        self.app = AppTest.from_function(script, default_timeout=20)
        for name, value in params.items():
            self.app.query_params[name] = value
        self.app.run()

    def does(self, *acts: list[object]) -> str:
        self.app.session_state["do"] = json.dumps(acts)
        self.app.run()
        assert not self.app.exception
        return " ".join(element.value for element in self.app.text)

    @property
    def like(self) -> list[str]:
        like = self.app.query_params.get("like", [])
        return [like] if isinstance(like, str) else like


def test_questions_are_undone_one_by_one() -> None:
    page = Page(like=A)
    page.does(["change", {"like": [A, B]}])
    page.does(["change", {"like": [C]}], ["change", {"tab": "sql"}])
    assert page.like == [C]
    assert page.does(["undo", ""]) == f"{A},{B} True"
    assert page.like == [A, B]
    assert page.does(["undo", ""]) == f"{A} False"
    assert page.does(["undo", ""]) == f"{A} False"  # nothing is left to undo


def test_going_back_shows_what_the_url_says_and_undo_agrees() -> None:
    page = Page(like=A)
    page.does(["change", {"like": [B]}])
    page.does(["change", {"like": [C]}])
    assert page.does(["go", f"?like={B}"]) == f"{B} True"
    assert page.does(["undo", ""]) == f"{A} False"
    assert page.does(["go", f"?like={C}&k=7"]) == f"{C} True"
    assert page.does(["undo", ""]) == f"{A} False"


def test_marks_go_with_their_question() -> None:
    page = Page(like=A, marks="feedback-1/2")
    page.does(["change", {"like": [A, B]}])
    assert "feedback-1/2" in page.app.query_params["marks"]
    page.does(["change", {"k": 7}])
    assert "feedback-1/2" in page.app.query_params["marks"]
    page.does(["change", {"like": [C]}])
    assert "marks" not in page.app.query_params
    page.does(["undo", ""])
    assert "feedback-1/2" in page.app.query_params["marks"]


def test_an_older_url_that_comes_with_a_run_changes_nothing() -> None:
    page = Page(like=A)
    page.does(["change", {"like": [B]}])
    page.app.query_params["like"] = A
    assert page.does() == f"{B} True"
