"""Bounded memory of what was made."""

from hypothesis import given
from hypothesis import strategies as st

from indexer.recent import Recent


def test_a_value_is_made_once_and_the_longest_unused_goes_first() -> None:
    made: list[str] = []

    def make(key: str) -> str:
        made.append(key)
        return key

    recent = Recent(3, len)
    for key in ("a", "b", "c", "a", "d", "a", "b"):
        assert recent.get(key, lambda key=key: make(key)) == key  # type: ignore[misc]
    assert made == ["a", "b", "c", "d", "b"], "b was the longest unused when d came"
    recent.clear()
    assert recent.get("a", lambda: make("a")) == "a"
    assert made[-1] == "a"


def test_a_value_that_is_too_large_drives_no_other_out() -> None:
    recent = Recent(3, len)
    recent.get("a", lambda: "a")
    assert recent.get("large", lambda: "large") == "large"
    assert recent.get("a", lambda: "made again") == "a"


@given(st.lists(st.text("ab", max_size=9)), st.integers(0, 20))
def test_never_more_than_the_size(keys: list[str], most: int) -> None:
    recent = Recent(most, len)
    for key in keys:
        assert recent.get(key, lambda key=key: key) == key  # type: ignore[misc]
        assert sum(map(len, recent._kept)) == recent._bytes <= most
