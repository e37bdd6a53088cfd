"""Progress bars with rates, on stderr, so that results on stdout can be piped.

`console.quiet` silences all of it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

from ..terminal_text import shown, visible

console = Console(stderr=True)
SHOWN = 12  # things left out, a line each


@contextmanager
def progress_bar(title: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function that is told (done, total) and draws it."""
    from .bar import bar_on  # Rich's bars are loaded when one is drawn

    with bar_on(console) as bar:
        task = bar.add_task(visible(title), total=None, unit=unit)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def say(text: str, mark: str = "", style: str = "") -> None:
    """A line of news on stderr, with a mark before it: "note", "skipped". Markup in it means itself."""
    marked = shown(mark, "yellow") + " " if mark else Text()
    console.print(marked + shown(text, style), highlight=False, soft_wrap=True)


def say_skipped(skipped: Sequence[tuple[str, str]]) -> None:
    """What an import left out, and why, a line each; the first SHOWN."""
    if skipped:
        say(f"{len(skipped)}; the same command tries them again:", "skipped")
    for name, reason in skipped[:SHOWN]:
        say(f"  {name}: {reason}")
    if len(skipped) > SHOWN:
        say(f"  and {len(skipped) - SHOWN} more")
