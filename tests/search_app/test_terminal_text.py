"""What others wrote reaches a terminal as it is."""

import io
from pathlib import Path

import pyarrow as pa
import pytest
from rich.console import Console

from search_app.cli import main as cli
from search_app.cli.progress import progress_bar, say
from search_app.form import Format
from search_app.output import emit, encode
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


@pytest.mark.parametrize("text", [*HOSTILE, "a\x1b]0;title\x07b", "a\u202eb"])
def test_markup_means_itself_beside_a_progress_bar(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(width=200, record=True, file=io.StringIO(), force_terminal=True)
    monkeypatch.setattr("search_app.cli.progress.console", console)
    with progress_bar(text, "rows") as progress:
        progress(1, 1)
    assert visible(text) in console.export_text()


@pytest.mark.parametrize("form", [Format.csv, Format.json])
def test_control_sequences_reach_a_file_but_no_terminal(
    form: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    rows = pa.table({"name": ["a\x1b[31mb"]})
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    emit(rows, form, None)
    assert "\x1b" not in terminal.getvalue()
    assert "1b[31mb" in terminal.getvalue()
    assert ("\x1b" in encode(rows, Format.csv).decode()) is True
