"""What others wrote reaches a terminal as it is."""

import io
from pathlib import Path

import pyarrow as pa
import pytest
from rich.console import Console

from search_app.cli import main as cli
from search_app.cli.progress import say
from search_app.output import Format, emit
from search_app.terminal_text import visible

HOSTILE = ("[T32TQM] field 7", "[red]a[/red] b", "[/data/a.tif, /data/b.tif]", "[/]", ":smile: ok")


@pytest.mark.parametrize("text", HOSTILE)
def test_markup_means_itself_in_a_table(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    emit(pa.table({text: [text]}), Format.table, None)
    head, row = capsys.readouterr().out.splitlines()[:2]
    assert (head.strip(), row.strip()) == (text, text)


@pytest.mark.parametrize("text", HOSTILE)
def test_markup_means_itself_in_news(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    monkeypatch.setattr("search_app.cli.progress.console", console)
    say(text, "note")
    assert console.export_text().strip() == f"note {text}"


def test_markup_means_itself_in_an_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["skyhex", "info", "-t", "[/]"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert "[/]" in capsys.readouterr().err


def test_a_terminal_is_not_commanded() -> None:
    assert visible("a\x1b[2Jb\u202ec\nd") == "a\\x1b[2Jb\\u202ec\nd"
    assert visible(Path("plain ä 漢")) == "plain ä 漢"
