"""What the map asks is taken once, in order."""

from search_app.page.map_component import new_asks


def test_asks_that_were_heard_are_not_taken_again() -> None:
    sent = [{"number": 7, "does": "add"}, {"number": 5, "does": "like"}, {"number": 6, "does": "undo"}]
    assert [ask["number"] for ask in new_asks(sent, 5)] == [6, 7]
    assert new_asks(sent, 7) == []
    assert new_asks(None, 0) == []
