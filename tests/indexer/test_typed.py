"""JSON as dataclasses: each field is of its type, or an error names it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from indexer.typed import OddFieldError, typed


@dataclass(frozen=True)
class Inner:
    share: float


@dataclass(frozen=True)
class Outer:
    name: str
    count: int
    is_on: bool
    inner: Inner
    box: tuple[float, float]
    many: tuple[Inner, ...] = ()
    by_name: Mapping[str, int] = field(default_factory=dict)
    maybe: Inner | None = None
    free: Any = None


GOOD: dict[str, Any] = {
    "name": "a",
    "count": 3,
    "is_on": True,
    "inner": {"share": 1},
    "box": [0, 0.5],
    "many": [{"share": 0.25}],
    "by_name": {"x": 2**64 - 1},
    "maybe": None,
    "free": [{"anything": None}],
    "of a later version": 1,
}


def test_a_document_becomes_what_it_says() -> None:
    assert typed(Outer, GOOD) == Outer(
        "a", 3, True, Inner(1.0), (0.0, 0.5), (Inner(0.25),), {"x": 2**64 - 1}, None, [{"anything": None}]
    )
    short = {name: GOOD[name] for name in ("name", "count", "is_on", "inner", "box")}
    assert typed(Outer, short | {"maybe": {"share": 2}}).maybe == Inner(2.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": None}, r"it.name is None, expected str"),
        ({"count": True}, r"it.count is True, expected int"),
        ({"count": 1.0}, r"it.count is 1.0, expected int"),
        ({"count": 2**70}, r"it.count is 1180591620717411303424, expected int"),
        ({"is_on": 1}, r"it.is_on is 1, expected bool"),
        ({"inner": {}}, r"it.inner has no field share"),
        ({"inner": {"share": float("nan")}}, r"it.inner.share is nan, expected float"),
        ({"inner": {"share": "1"}}, r"it.inner.share is '1', expected float"),
        ({"inner": []}, r"it.inner is \[\], expected Inner"),
        ({"box": [1]}, r"it.box has 1 members, expected 2"),
        ({"box": "12"}, r"it.box is '12', expected tuple"),
        ({"many": [{"share": 1}, None]}, r"it.many\[1\] is None, expected Inner"),
        ({"by_name": {"x": "1"}}, r"it.by_name.x is '1', expected int"),
        ({"maybe": 7}, r"it.maybe is 7, expected Inner"),
    ],
    ids=str,
)
def test_what_is_odd_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(OddFieldError, match=message):
        typed(Outer, GOOD | change, "it")
