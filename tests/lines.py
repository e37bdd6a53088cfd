"""Lines of product code, room by room: `python tests/lines.py 05ae2c6 HEAD`.

A line counts that holds code: no blank, no comment, no docstring. With no argument: of the working tree.
"""

import ast
import io
import subprocess
import sys
import tokenize
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("data", "encoder", "indexer", "pipeline", "experiments", "search_app", "skyhex.py")
NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}
MAY_HAVE_A_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def code_lines(source: str) -> int:
    held = {
        line
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type not in NO_CODE
        for line in range(token.start[0], token.end[0] + 1)
    }
    return len(held - docstring_lines(source))


def docstring_lines(source: str) -> set[int]:
    owners = (node for node in ast.walk(ast.parse(source)) if isinstance(node, MAY_HAVE_A_DOCSTRING))
    first = (
        owner.body[0] for owner in owners if owner.body and ast.get_docstring(owner, clean=False) is not None
    )
    return {line for text in first for line in range(text.lineno, (text.end_lineno or text.lineno) + 1)}


def git(*words: str) -> str:
    return subprocess.run(["git", *words], capture_output=True, text=True, check=True, cwd=ROOT).stdout


def lines_by_room(commit: str | None) -> Counter[str]:
    """Code lines of each room in a commit, or in the working tree."""
    files = git("ls-tree", "-r", "--name-only", commit, *ROOMS) if commit else git("ls-files", *ROOMS)
    lines: Counter[str] = Counter()
    for name in (name for name in files.splitlines() if name.endswith(".py")):
        source = git("show", f"{commit}:{name}") if commit else (ROOT / name).read_text(encoding="utf-8")
        lines[name.split("/")[0]] += code_lines(source)
    return lines


def main(commits: list[str]) -> None:
    counted = {commit or "working tree": lines_by_room(commit) for commit in commits or [None]}
    print(f"{'':12}" + "".join(f"{name:>14}" for name in counted))
    for room in ROOMS:
        print(f"{room:12}" + "".join(f"{lines[room]:14,}" for lines in counted.values()))
    print(f"{'all':12}" + "".join(f"{lines.total():14,}" for lines in counted.values()))


if __name__ == "__main__":
    main(sys.argv[1:])
