"""How the measurements of this folder are started: each from a command line of its own."""

import argparse
import json
from pathlib import Path
from typing import Any

from .retrieval.report import plain


def command_line(doc: str | None, *, folder: str = "") -> argparse.ArgumentParser:
    """A parser that says the head of a file, and takes --shared; with `folder`, its help, --folder too."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True)
    if folder:
        parser.add_argument("--folder", type=Path, required=True, help=folder)
    return parser


def write_result(result: Any, out: Path | None) -> str:
    """What was found as JSON, in a file where one is named."""
    text = json.dumps(plain(result), indent=1)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text + "\n", encoding="utf-8")
    return text
