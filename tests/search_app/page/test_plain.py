"""Text of others stays text."""

from dataclasses import replace
from pathlib import Path

import h3
import pytest
from streamlit.testing.v1 import AppTest

from search_app.cli.launch import SCRIPT
from search_app.page.plain import plain

from .. import make_table
from ..make_table import CELLS, small_table

PICTURE = "![x](https://example.org/x.png)"


def test_what_streamlit_would_read_as_markup_is_escaped() -> None:
    assert plain(PICTURE) == r"\!\[x\]\(http:color[s]\://example.org/x.png\)"
    assert plain("www.example.org, me@example.org") == "ww:color[w].example.org, me:color[@]example.org"
    assert [plain(text) for text in ("- a", "1. a", "-7.5", "2-D")] == [r"\- a", r"1\. a", r"\-7.5", r"2\-D"]
    assert plain("a\n# b :red[c] $d$ <i>") == r"a \# b \::color[r]ed\[c\] \$d\$ \<i\>"
    assert plain("plain words, 3.5 % of 2-D") == "plain words, 3.5 % of 2-D"


@pytest.mark.parametrize(
    "params", [{"like": PICTURE}, {"k": PICTURE}, {"tab": "sql", "sql": f'SELECT "{PICTURE}"'}]
)
def test_a_link_puts_no_markup_on_the_page(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, params: dict[str, str]
) -> None:
    monkeypatch.setattr(make_table, "MODEL", replace(make_table.MODEL, name=PICTURE))
    table = small_table(tmp_path / PICTURE.replace("/", "_"), sample_ids={CELLS[3]: PICTURE})
    monkeypatch.setenv("SKYHEX_TABLE", str(table.path))
    app = AppTest.from_file(str(SCRIPT.with_name("streamlit_app.py")), default_timeout=20)
    for name, value in {"like": h3.int_to_str(CELLS[3]), **params}.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    shown = [*app.markdown, *app.caption, *app.error, *app.toast, *app.info]
    assert any(plain("![x](") in element.value for element in shown)
    assert f":gray-badge[{plain(PICTURE)}]" in [element.value for element in app.markdown]
    assert not any("![x](" in element.value for element in shown)
    assert not any("![x](" in button.label for button in app.button)
