"""Colours of kinds."""

from search_app.page.colours import KINDS, kind_css


def test_kinds_have_their_own_colour_and_go_round() -> None:
    assert kind_css(0) == "#332288"
    assert len({kind_css(kind) for kind in range(len(KINDS))}) == len(KINDS)
    assert kind_css(len(KINDS)) == kind_css(0)
