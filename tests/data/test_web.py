"""How long and how often a server is asked, what is followed, and what its silence is called."""

import itertools
import random
from typing import Any

import pytest
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

from data import web
from data.access import Access, UnreachableError
from data.sample import InputError
from data.web import Answer, Question, _headers, _reason, _seconds, _target, ask

HREF = "https://data.example.org/a.tif"
ANY = Access(wait_s=100, tries=4)


def answer(status: int, content: bytes = b"x", **headers: str) -> Answer:
    return Answer(status, {name.replace("_", "-"): text for name, text in headers.items()}, content, HREF)


@pytest.fixture(autouse=True)
def nobody_is_silent() -> None:
    web._silent.clear()


class Clock:
    """Time passes by sleeping alone."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.slept = 1000.0, []
        monkeypatch.setattr(web.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(web.time, "sleep", self.sleep)
        monkeypatch.setattr(random, "uniform", lambda low, high: high)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def answering(monkeypatch: pytest.MonkeyPatch, *said: Any) -> list[int]:
    """The server says these one after the other, the last ever after; how often it was asked."""
    asked: list[int] = []

    def follow(*_: object) -> Answer:
        one = said[min(len(asked), len(said) - 1)]
        asked.append(1)
        if isinstance(one, Exception):
            raise one
        return one

    monkeypatch.setattr(web, "_follow", follow)
    return asked


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503, 599])
def test_a_fault_that_may_pass_is_asked_again_after_growing_waits(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, status: int
) -> None:
    asked = answering(monkeypatch, answer(status), answer(status), answer(status), answer(206))
    assert ask(Question(HREF), ANY).status == 206
    assert (len(asked), clock.slept) == (4, [0.5, 1.0, 2.0])


@pytest.mark.parametrize("status", [200, 206, 400, 401, 404, 410, 416, 499])
def test_a_fact_is_taken_at_once(monkeypatch: pytest.MonkeyPatch, clock: Clock, status: int) -> None:
    asked = answering(monkeypatch, answer(status))
    assert ask(Question(HREF), ANY).status == status
    assert (len(asked), clock.slept) == (1, [])


def test_waits_grow_to_twenty_seconds(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    answering(monkeypatch, answer(500))
    with pytest.raises(UnreachableError, match="HTTP 500, asked 9 times within 1000 s"):
        ask(Question(HREF), Access(wait_s=1000, tries=9))
    assert clock.slept == [0.5, 1, 2, 4, 8, 16, 20, 20]


@pytest.mark.parametrize(("wait_s", "asked"), [(0.5, 2), (0.4, 1), (1.5, 3), (1.4, 2)])
def test_nobody_waits_longer_than_allowed(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, wait_s: float, asked: int
) -> None:
    times = answering(monkeypatch, answer(500))
    with pytest.raises(UnreachableError, match=f"asked {asked} times within {wait_s:g} s"):
        ask(Question(HREF), Access(wait_s=wait_s, tries=9))
    assert len(times) == asked


def test_half_an_answer_is_asked_again(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    asked = answering(monkeypatch, answer(206, b"half"), answer(206, b"whole"))
    found = ask(Question(HREF, whole=lambda one: one.content == b"whole"), ANY)
    assert (found.content, len(asked)) == (b"whole", 2)
    answering(monkeypatch, answer(206, b"half"))
    with pytest.raises(UnreachableError, match="half an answer, asked 4 times"):
        ask(Question(HREF, whole=lambda one: False), ANY)


@pytest.mark.parametrize(
    ("said", "seconds"), [("7", 7), ("20", 20), ("21", 20), ("", 0), ("-1", 0), ("soon", 0), ("1.5", 0)]
)
def test_a_server_may_ask_for_patience_up_to_twenty_seconds(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, said: str, seconds: float
) -> None:
    assert _seconds(said) == seconds
    answering(monkeypatch, answer(503, Retry_After=said), answer(200))
    ask(Question(HREF), ANY)
    assert clock.slept == [max(seconds, 0.5)]


def test_a_host_that_was_silent_twice_is_left_alone_as_long_as_one_waits(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    once = Access(wait_s=50, tries=1)
    asked = answering(monkeypatch, OSError("no"))
    for _ in range(2):
        with pytest.raises(UnreachableError, match="the connection broke, asked 1 times"):
            ask(Question(HREF), once)
    with pytest.raises(UnreachableError, match="does not answer; it was asked 2 times"):
        ask(Question(HREF), once)
    assert len(asked) == 2
    clock.now += 50
    with pytest.raises(UnreachableError, match="the connection broke"):
        ask(Question(HREF), once)
    assert len(asked) == 3


def test_a_word_from_a_host_ends_its_silence(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    once = Access(wait_s=50, tries=1)
    for said in (OSError("no"), answer(500), OSError("no")):
        answering(monkeypatch, said)
        with pytest.raises(UnreachableError):
            ask(Question(HREF), once)
    answering(monkeypatch, answer(200))
    assert ask(Question(HREF), once).status == 200
    assert web._silent == {}


def led(monkeypatch: pytest.MonkeyPatch, *said: Answer) -> list[tuple[str, str, bytes | None]]:
    """What is asked while redirects are followed."""
    asked: list[tuple[str, str, bytes | None]] = []
    answers = itertools.chain(said, itertools.repeat(said[-1]))

    def once(href: str, method: str, body: bytes | None, *_: object) -> Answer:
        asked.append((href, method, body))
        return next(answers)

    monkeypatch.setattr(web, "_once", once)
    monkeypatch.setattr(web, "_check", lambda *_, **__: None)
    return asked


@pytest.mark.parametrize(
    ("status", "method"), [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")]
)
def test_a_redirect_keeps_its_method_or_asks_again(
    monkeypatch: pytest.MonkeyPatch, status: int, method: str
) -> None:
    asked = led(monkeypatch, answer(status, Location="/b"), answer(200))
    ask(Question(HREF, "POST", body=b"q"), ANY)
    body = b"q" if method == "POST" else None
    assert asked == [(HREF, "POST", b"q"), ("https://data.example.org/b", method, body)]


def test_five_addresses_are_asked_and_no_sixth(monkeypatch: pytest.MonkeyPatch) -> None:
    on, there = answer(302, Location="/b"), answer(200)
    assert len(led(monkeypatch, *[on] * 4, there)) == 0
    assert ask(Question(HREF), Access(tries=1, wait_s=9)).status == 200
    asked = led(monkeypatch, on)
    with pytest.raises(UnreachableError, match="leads through more than 5 redirects"):
        ask(Question(HREF), Access(tries=1, wait_s=9))
    assert len(asked) == 5


def test_a_redirect_that_names_no_place_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = led(monkeypatch, answer(302))
    assert ask(Question(HREF), ANY).status == 302
    asked = led(monkeypatch, answer(304, Location="/b"))
    assert ask(Question(HREF), ANY).status == 304
    assert len(asked) == 1


def test_where_a_redirect_leads() -> None:
    question = Question(HREF)
    assert _target(question, HREF, "b.tif?x=1") == "https://data.example.org/b.tif?x=1"
    assert _target(question, HREF, "http://other.org/c") == "http://other.org/c"
    for location in ("ftp://other.org/c", "file:///etc/hostname", "http://[::1"):
        with pytest.raises(UnreachableError, match="another kind of address"):
            _target(question, HREF, location)


@pytest.mark.parametrize(("led_there", "error"), [(False, InputError), (True, UnreachableError)])
def test_an_address_that_may_not_be_asked_is_a_fact_and_a_redirect_to_it_is_none(
    led_there: bool, error: type[Exception]
) -> None:
    with pytest.raises(error):
        web._check("http://127.0.0.1/a", Access(typed=HREF), is_led=led_there)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (NameResolutionError("h", None, OSError()), "its name is not known"),  # type: ignore[arg-type]
        (NewConnectionError(None, "secret"), "no connection"),  # type: ignore[arg-type]
        (ConnectTimeoutError("secret"), "no connection in time"),
        (ReadTimeoutError(None, None, "secret"), "no answer in time"),  # type: ignore[arg-type]
        (SSLError("secret"), "its certificate is not trusted or TLS failed"),
        (HTTPError("secret"), "the connection broke"),
    ],
)
def test_a_failure_is_told_without_its_own_words(error: HTTPError, reason: str) -> None:
    assert _reason(error) == reason


@pytest.mark.parametrize(
    ("href", "told"),
    [
        ("https://data.lpdaac.earthdatacloud.nasa.gov/a", True),
        ("https://e4ftl01.earthdata.nasa.gov/a", True),
        ("http://e4ftl01.earthdata.nasa.gov/a", False),
        ("https://earthdata.nasa.gov.example.org/a", False),
    ],
)
def test_nasas_token_is_for_its_hosts(monkeypatch: pytest.MonkeyPatch, href: str, told: bool) -> None:
    monkeypatch.setenv("EARTHDATA_TOKEN", "t")
    assert ("Authorization" in _headers(href)) is told
    assert _headers(href)["User-Agent"] == "skyhex"
    monkeypatch.delenv("EARTHDATA_TOKEN")
    assert "Authorization" not in _headers(href)


def test_an_answer_is_as_large_as_the_question_allows(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    class Response:
        _pool = None

        def __init__(self, *parts: bytes) -> None:
            self.parts = iter([*parts, b""])

        def read1(self, size: int, decode_content: bool) -> bytes:
            return next(self.parts)

    before = web.traffic["bytes"]
    assert web._content(Response(b"abc", b"de"), Question(HREF, limit_bytes=5), clock.now) == b"abcde"
    assert web.traffic["bytes"] == before + 5
    with pytest.raises(InputError, match="is larger than 0 MB"):
        web._content(Response(b"abc", b"def"), Question(HREF, limit_bytes=5), clock.now)
    with pytest.raises(ReadTimeoutError, match="drips"):
        web._content(Response(b"abc"), Question(HREF), clock.now - 1)
