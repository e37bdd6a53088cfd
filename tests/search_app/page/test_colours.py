"""Colours and their legends."""

import numpy as np

from search_app.page.colours import (
    KINDS,
    NEUTRAL,
    VIRIDIS,
    amount_colours,
    amount_legend,
    css,
    kind_colours,
    kind_legend,
    stretch_limits,
)


def test_amounts_run_from_the_first_to_the_last_colour_and_stay_there() -> None:
    rgb = amount_colours(np.array([0.0, 0.2, 0.6, 1.0, 2.0, np.nan]), 0.2, 1.0)
    assert rgb.tolist() == [
        *map(list, (VIRIDIS[0], VIRIDIS[0], VIRIDIS[4], VIRIDIS[-1], VIRIDIS[-1])),
        [*NEUTRAL],
    ]


def test_lightness_grows_with_the_amount() -> None:
    rgb = amount_colours(np.linspace(0, 1, 50), 0, 1).astype(float)
    lightness = rgb @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness) > 0).all()


def test_kinds_have_their_own_colour_and_none_is_neutral() -> None:
    assert kind_colours(np.array([-1, 0, 8])).tolist() == [
        list(NEUTRAL),
        KINDS[0].tolist(),
        KINDS[8].tolist(),
    ]


def test_the_stretch_leaves_out_what_is_unknown() -> None:
    values = np.r_[np.arange(101) / 100, np.nan]
    assert np.allclose(stretch_limits(values), (0.2, 0.995))
    assert stretch_limits(np.array([np.nan])) == (0.0, 1.0)


def test_legends_name_what_they_show() -> None:
    assert "0.250" in amount_legend("Similarity", 0.25, 0.9)
    assert css((255, 0, 16)) == "#ff0010"
    legend = kind_legend(["A 60%", "B 40%"], "Prototypes")
    assert css(KINDS[1]) in legend
    assert "B 40%" in legend
    assert css(KINDS[2]) not in legend
