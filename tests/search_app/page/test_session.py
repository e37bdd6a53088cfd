"""Questions are steps: undone one by one, gone back to, never forgotten by a click."""

import json
from typing import Any
from urllib.parse import parse_qs

import h3
import pytest
from streamlit.testing.v1 import AppTest

from search_app.page_settings import PageSettings

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
        elif name == "settle":
            session.settle(**value)
        else:
            session.go_to(*value)
    st.session_state["do"] = "[]"
    st.text(f"{','.join(session.current().like)} {session.can_undo()}")
    st.json(session.link_of_page())


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
    def link(self) -> dict[str, Any]:
        """What the browser is told."""
        link: dict[str, Any] = json.loads(self.app.json[0].value)
        return link

    @property
    def like(self) -> list[str]:
        return parse_qs(self.link["query"].removeprefix("?")).get("like", [])


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
    assert page.does(["go", [f"?like={B}", 1]]) == f"{B} True"
    assert page.does(["undo", ""]) == f"{A} False"
    assert page.does(["go", [f"?like={C}&k=7", 2]]) == f"{C} True"
    assert page.does(["undo", ""]) == f"{A} False"


def test_marks_go_with_their_question() -> None:
    page = Page(like=A, marks="feedback-1/2")
    page.does(["change", {"like": [A, B]}])
    assert "feedback-1%2F2" in page.link["query"]
    page.does(["change", {"k": 7}])
    assert "feedback-1%2F2" in page.link["query"]
    page.does(["change", {"like": [C]}])
    assert "marks" not in page.link["query"]
    page.does(["undo", ""])
    assert "feedback-1%2F2" in page.link["query"]


def test_an_older_url_that_comes_with_a_run_changes_nothing() -> None:
    page = Page(like=A)
    page.does(["change", {"like": [B]}])
    page.app.query_params["like"] = A
    assert page.does() == f"{B} True"


def test_each_change_is_a_step_and_what_the_page_makes_of_it_is_none() -> None:
    page = Page(like=A)
    assert page.link["steps"] == []
    page.does(["change", {"like": [B]}], ["change", {"tab": "sql"}], ["change", {"tab": "sql"}])
    page.does(["settle", {"area": "all"}])
    assert page.link["steps"] == [
        {"number": 1, "query": f"?like={B}"},
        {"number": 2, "query": f"?like={B}&tab=sql"},
    ]
    assert page.link["query"] == f"?like={B}&tab=sql&area=all"


def test_who_goes_back_takes_what_was_asked_and_not_yet_written_along() -> None:
    page = Page(like=A)
    page.does(["change", {"like": [B]}])
    page.does(["change", {"like": [C]}], ["go", [f"?like={A}", 1]])
    assert (page.like, page.link["heard"], page.link["steps"]) == ([A], 1, [])
    page.does(["change", {"like": [B]}], ["go", [f"?like={A}", 1]])  # told once more: it was heard
    assert (page.like, page.link["heard"]) == ([B], 1)
    assert page.link["steps"] == [{"number": 3, "query": f"?like={B}"}]


def test_tables_are_named_where_there_are_several(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in PageSettings(("/x/alps", "/y/valley")).to_environment().items():
        monkeypatch.setenv(name, value)
    assert Page(like=A).link["query"] == f"?like={A}&table=alps"
    assert Page(like=A, table="valley").link["query"] == f"?like={A}&table=valley"
    for name, value in PageSettings(("/y/valley",)).to_environment().items():
        monkeypatch.setenv(name, value)
    assert Page(like=A, table="valley").link["query"] == f"?like={A}"
    assert Page(like=A, table="alps").link["query"] == f"?like={A}&table=alps"
