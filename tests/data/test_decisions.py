"""What a dry run says was decided."""

from data.decisions import decisions

from .conftest import TinyCatalog


def test_a_decision_of_some_scenes_says_of_how_many(tiny: TinyCatalog) -> None:
    tiny.add("s2", "a")
    tiny.add("s2", "b")
    tiny.add("s2", "c", **{"sample:boa_offset": None})
    tiny.add("s1", "radar")
    assert decisions(tiny.read().scenes) == [
        "sentinel-1-grd (told by its own fields): 1 scene of s1",
        "  unit by its values",
        "  sigma0 or gamma0 not told",
        "sentinel-2-l2a (told by its own fields): 3 scenes of s2",
        "  offset 0: sample:boa_offset (2 of 3)",
        "  cloud mask none",
        "  offset unknown, taken as 0: nothing tells (1 of 3)",
    ]
