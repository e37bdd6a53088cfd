"""The page's session and the browser's history against each other, in whatever order they meet."""

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import h3
import pytest

from search_app.page import history

from ..make_table import CELLS
from .chromium import MARKS
from .test_session import Page

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
pytestmark = MARKS
SCRIPT = Path(history.__file__).with_name("history.js").read_text()
ORIGIN = "http://127.0.0.1:1/"  # nothing is asked of it
PLACES = [h3.int_to_str(cell) for cell in CELLS]
IMPORT = """async (script) => {
  const source = new Blob([script], { type: "text/javascript" });
  window.element = await import(URL.createObjectURL(source));
  window.told = [];
  window.pushed = 0;
  const push = history.pushState.bind(history);
  history.pushState = (...step) => (pushed++, push(...step));
}"""
RENDER = "(data) => element.default({ data, setTriggerValue: (name, value) => told.push(value) })"
GO = """(by) => new Promise((done) => {
  addEventListener("popstate", () => setTimeout(done), { once: true });
  history.go(by);
})"""


class Both:
    """A browser and a page, and what is on its way between them: runs to the one, acts to the other."""

    def __init__(self, tab: sync_api.Page) -> None:
        self.tab = tab
        tab.goto(f"{ORIGIN}?like={PLACES[0]}")
        tab.evaluate(IMPORT, SCRIPT)
        self.page = Page(like=PLACES[0])
        self.runs = deque[dict[str, Any]]([self.page.link])
        self.acts = deque[list[object]]()
        self.render()

    @property
    def search(self) -> str:
        return str(self.tab.evaluate("location.search"))

    def render(self) -> int:
        """A run comes to its end in the browser; returns how many steps it made there."""
        if not self.runs:
            return 0
        before = int(self.tab.evaluate("pushed"))
        self.tab.evaluate(RENDER, self.runs.popleft())
        self.hear()
        return int(self.tab.evaluate("pushed")) - before

    def ask(self, place: str) -> None:
        self.acts.append(["change", {"like": [place]}])

    def go(self, by: int) -> None:
        self.tab.evaluate(GO, by)
        self.hear()

    def hear(self) -> None:
        told = self.tab.evaluate("told.splice(0)")
        self.acts.extend(["go", [went["to"], went["number"]]] for went in told)

    def take(self, count: int = 1, ends: bool = True) -> None:
        """The page takes acts; the run that they make ends, or is given up for the next."""
        acts = [self.acts.popleft() for _ in range(min(count, len(self.acts)))]
        self.page.does(*acts)
        if ends:
            self.runs.append(self.page.link)

    def settle(self) -> None:
        """Until nothing is on its way."""
        self.take(len(self.acts))
        for _ in range(20):
            self.render()
            if self.acts:
                self.take(len(self.acts))
        assert not self.runs


@pytest.fixture
def both(browser: Any) -> Iterator[Both]:
    tab = browser.new_page()
    tab.route(f"{ORIGIN}**", lambda route: route.fulfill(body="<p>", content_type="text/html"))
    yield Both(tab)
    tab.close()


def test_questions_are_steps_to_go_back_and_forth_through(both: Both) -> None:
    for place in PLACES[1:4]:
        both.ask(place)
        both.settle()
    for by, place in ((-1, 2), (-1, 1), (-1, 0), (1, 1), (2, 3)):
        both.go(by)
        both.settle()
        assert both.search == f"?like={PLACES[place]}"
        assert both.page.like == [PLACES[place]]


def test_a_question_whose_run_was_given_up_is_a_step_too(both: Both) -> None:
    both.ask(PLACES[1])
    both.take(ends=False)
    both.ask(PLACES[2])
    both.settle()
    both.go(-1)
    both.settle()
    assert both.search == f"?like={PLACES[1]}"
    assert both.page.like == [PLACES[1]]


def test_who_goes_back_while_a_question_is_under_way_stays_there(both: Both) -> None:
    both.ask(PLACES[1])
    both.settle()
    both.ask(PLACES[2])
    both.take()  # its run comes to its end when the browser has gone back
    both.go(-1)
    both.render()
    assert both.search == f"?like={PLACES[0]}"
    both.settle()
    assert both.search == f"?like={PLACES[0]}"
    assert both.page.like == [PLACES[0]]
    both.go(1)
    both.settle()
    assert both.page.like == [PLACES[1]]  # the entry is as it was


def test_two_steps_back_before_the_page_hears_of_one(both: Both) -> None:
    for place in PLACES[1:4]:
        both.ask(place)
        both.settle()
    both.go(-1)
    both.go(-1)
    both.acts.popleft()  # Streamlit may lose what comes twice before a run
    both.settle()
    assert both.search == f"?like={PLACES[1]}"
    assert both.page.like == [PLACES[1]]


def test_what_nobody_heard_is_told_again(both: Both) -> None:
    both.ask(PLACES[1])
    both.settle()
    both.go(-1)
    both.acts.clear()
    both.settle()
    assert both.page.like == [PLACES[0]]
    assert both.search == f"?like={PLACES[0]}"


def test_what_nobody_heard_is_told_again_though_no_run_follows(both: Both) -> None:
    both.ask(PLACES[1])
    both.settle()
    both.go(-1)
    both.acts.clear()
    assert not both.runs
    both.tab.wait_for_function("told.length > 0")
    both.hear()
    both.settle()
    assert both.page.like == [PLACES[0]]
    assert both.search == f"?like={PLACES[0]}"


def test_a_page_that_begins_anew_shows_what_the_browser_does(both: Both) -> None:
    both.ask(PLACES[1])
    both.settle()
    both.page = Page(like=PLACES[5])  # as an older link has it
    both.settle()
    assert both.search == f"?like={PLACES[1]}"
    assert both.page.like == [PLACES[1]]
    both.ask(PLACES[2])
    both.settle()
    both.go(-1)
    both.settle()
    assert both.page.like == [PLACES[1]]


@pytest.mark.parametrize("seed", range(12))
def test_the_last_to_go_anywhere_wins_in_whatever_order_they_meet(both: Both, seed: int) -> None:
    random, asked, behind, ahead = Random(seed), iter(PLACES[1:]), 0, 0
    wanted = PLACES[0]
    for _ in range(14):
        act = random.choice(("ask", "back", "forward", "take", "take", "give up", "render", "render"))
        if act == "ask":
            both.ask(wanted := next(asked))
        elif (act == "back" and behind) or (act == "forward" and ahead):
            by = -1 if act == "back" else 1
            both.go(by)
            behind, ahead = behind + by, ahead - by
            wanted = both.search.removeprefix("?like=")
        elif act in ("take", "give up"):
            both.take(random.randint(1, 2), ends=act == "take")
        elif act == "render":
            steps = both.render()
            behind, ahead = behind + steps, 0 if steps else ahead
    both.settle()
    assert both.search == f"?like={wanted}"
    assert both.page.like == [wanted]
