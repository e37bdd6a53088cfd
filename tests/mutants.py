"""Do the tests catch a wrong line? Puts one on purpose into a seeded sample of places, and counts what lives.

    python tests/mutants.py cover                       which test reaches which line: once, before all else
    python tests/mutants.py run --sample 600 --seed 1   goes on where it was stopped (--part 0/2: half)
    python tests/mutants.py report --seed 1             survivors, and their share by folder

A mutant is one changed operator, constant, condition, return or statement of `indexer/`, `data/` or the
pre-training's objective; a file's share of the sample is its share of all places. The tests that reach its
line are run in a forked process, those of its own test file first, and the processes that a test starts have
the wrong line, too. It is killed by a failing test or a time limit; a mutant that no test reaches lives.
`mutants_equivalent.json` lists those that change nothing that
anyone can see, each with a reason. Everything else lies in `.mutants/`.
"""

import argparse
import ast
import contextlib
import copy
import gc
import importlib.abc
import importlib.util
import io
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
import types
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".mutants"
EQUIVALENT = Path(__file__).with_name("mutants_equivalent.json")
SUBJECTS = ("indexer", "data", "encoder/training/objective.py")
TESTS = (
    "tests/indexer",
    "tests/data",
    "tests/encoder",
    "tests/pipeline",
    "tests/buckets",
    "tests/search_app/serve",
    "tests/search_app/cli",
)
CPU_S = 15  # of the processor, beside the time of the tests: for a loop without an end
WAIT_FACTOR, WAIT_S = 8, 60  # of the clock: for a wait without an end; others may use the machine
FAILS, LATE, LIVES = "fails", "late", "lives"  # verdicts
OWN = ("benchmarks", "data", "encoder", "experiments", "indexer", "pipeline", "search_app", "skyhex", "tests")
WRONG = "SKYHEX_MUTANT"  # a variable of the environment: the file and place that a started process puts in
BEGIN = f"""import os, sys
if "{WRONG}" in os.environ:
    sys.path.append({str(ROOT / "tests")!r})
    import mutants
    mutants.put_in(*os.environ["{WRONG}"].split(":"))
"""
SWAPPED: dict[type, type] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd, ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip
NAMES = {
    "minimum": "maximum", "maximum": "minimum", "min": "max", "max": "min", "argmin": "argmax",
    "argmax": "argmin",
    "any": "all", "all": "any", "left": "right", "right": "left", "floor": "ceil", "ceil": "floor",
    "ascending": "descending", "descending": "ascending", "flatnonzero": "arange",
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One wrong line."""

    file: str
    place: int  # of the file's mutants
    line: int
    before: str
    after: str

    @property
    def changes_nothing(self) -> bool:
        """Whether `mutants_equivalent.json` says so, with the reason, of the line as it is now."""
        text = (ROOT / self.file).read_text(encoding="utf-8").split("\n")[self.line - 1].strip()
        return {"file": self.file, "line": text, "before": self.before, "after": self.after} in _equivalent()


@cache
def _equivalent() -> list[dict[str, str]]:
    entries = json.loads(EQUIVALENT.read_text(encoding="utf-8")) if EQUIVALENT.exists() else []
    return [{name: entry[name] for name in ("file", "line", "before", "after")} for entry in entries]


def mutations(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand wrongly in place of a node."""
    if isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPPED:
        yield _with(node, ops=[SWAPPED[type(node.ops[0])](), *node.ops[1:]])
    elif isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign) and type(node.op) in SWAPPED:
        yield _with(node, op=SWAPPED[type(node.op)]())
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.Constant) and not isinstance(
        node.value, str | bytes | type(None) | types.EllipsisType
    ):
        yield _with(node, value=not node.value if isinstance(node.value, bool) else node.value + 1)
    elif isinstance(node, ast.Constant) and node.value in NAMES:
        yield _with(node, value=NAMES[node.value])
    elif isinstance(node, ast.Attribute) and node.attr in NAMES:
        yield _with(node, attr=NAMES[node.attr])
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in NAMES:
        yield _with(node, func=ast.Name(NAMES[node.func.id], ast.Load()))
    elif isinstance(node, ast.If | ast.IfExp | ast.While):
        yield _with(node, test=ast.UnaryOp(ast.Not(), node.test))
    elif isinstance(node, ast.Return) and node.value is not None:
        yield _with(node, value=ast.Constant(None))
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call | ast.Yield | ast.YieldFrom):
        yield ast.Pass()
    if isinstance(node, ast.AugAssign):
        yield ast.Pass()


def _with(node: Any, **changes: Any) -> Any:
    changed = copy.copy(node)
    for name, value in changes.items():
        setattr(changed, name, value)
    return changed


def places(tree: ast.AST) -> Iterator[tuple[ast.AST, str, int | None, ast.AST]]:
    """(parent, field, index, node) of what is mutated: no annotation, message, assertion or docstring."""
    for field, value in ast.iter_fields(tree):
        if field in ("annotation", "returns", "decorator_list", "type_comment"):
            continue
        for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(child, ast.AST) or isinstance(
                child, ast.Raise | ast.Assert | ast.Import | ast.ImportFrom
            ):
                continue
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                continue
            if not isinstance(child, ast.JoinedStr):
                yield tree, field, index, child
                yield from places(child)


def every(path: Path) -> Iterator[tuple[Mutant, ast.Module]]:
    """Every mutant of a file, with the whole mutated tree."""
    source = path.read_text(encoding="utf-8")
    tree, number = ast.parse(source), 0
    for parent, field, index, node in places(tree):
        for changed in mutations(node):
            before, after = ast.unparse(node).split("\n")[0], ast.unparse(changed).split("\n")[0]
            if ast.dump(node) == ast.dump(changed):
                continue
            _put(parent, field, index, changed)
            mutant = Mutant(str(path.relative_to(ROOT)), number, getattr(node, "lineno", 0), before, after)
            yield mutant, tree
            _put(parent, field, index, node)
            number += 1


def _put(parent: ast.AST, field: str, index: int | None, node: ast.AST) -> None:
    if index is None:
        setattr(parent, field, node)
    else:
        getattr(parent, field)[index] = node


def drawn(sample: int, seed: int) -> list[Mutant]:
    """A sample of all mutants, stratified by file."""
    files = [
        f for s in SUBJECTS for f in ([ROOT / s] if s.endswith(".py") else sorted((ROOT / s).rglob("*.py")))
    ]
    pools = [[mutant for mutant, _ in every(file)] for file in files]
    everything, rng = sum(map(len, pools)), random.Random(seed)
    shares = [len(pool) * sample / everything for pool in pools]
    counts = [int(share) + (rng.random() < share % 1) for share in shares]
    chosen = [
        m for pool, count in zip(pools, counts, strict=True) for m in rng.sample(pool, min(count, len(pool)))
    ]
    rest = [mutant for pool in pools for mutant in pool if mutant not in set(chosen)]
    chosen += rng.sample(rest, max(0, sample - len(chosen)))
    rng.shuffle(chosen)
    return chosen


def cover() -> None:
    """Run the tests once, noting which of them reach which lines, and how long each takes."""
    FOLDER.mkdir(exist_ok=True)
    settings = FOLDER / "settings.ini"
    settings.write_text(f"[run]\nsource = data, encoder, indexer\ndata_file = {FOLDER / 'coverage'}\n")
    log = FOLDER / "durations.xml"
    arguments = [*TESTS, "-q", "--cov", f"--cov-config={settings}", "--cov-context=test", "--cov-report="]
    subprocess.run([sys.executable, "-m", "pytest", *arguments, f"--junitxml={log}"], cwd=ROOT, check=False)


def reaching() -> tuple[dict[tuple[str, int], list[str]], dict[str, float]]:
    """Tests by (file, line), and seconds by test."""
    import xml.etree.ElementTree as ET

    from coverage import CoverageData

    seconds: dict[str, float] = {}
    for case in ET.parse(FOLDER / "durations.xml").iter("testcase"):
        if case.find("failure") is None and case.find("error") is None and case.find("skipped") is None:
            test = f"{_test_file(case.attrib['classname'])}::{case.attrib['name']}"
            seconds[test] = float(case.attrib["time"])
    data, lines = CoverageData(str(FOLDER / "coverage")), {}
    data.read()
    for file in data.measured_files():
        short = str(Path(file).relative_to(ROOT))
        by_line = {
            line: {context.partition("|")[0] for context in contexts}
            for line, contexts in data.contexts_by_lineno(file).items()
        }
        own = {test for test in seconds if f"/test_{Path(file).stem}.py" in test}
        of_file = own.union(*by_line.values()) - {""}
        for line, tests in by_line.items():  # what an import ran has "", and is everybody's
            lines[short, line] = sorted(of_file if "" in tests else tests)
    return lines, seconds


def _test_file(name: str) -> str:
    """`tests.data.test_x.TestY` -> `tests/data/test_x.py::TestY`."""
    parts = name.split(".")
    count = next(
        n for n in range(len(parts), 0, -1) if (ROOT.joinpath(*parts[:n]).with_suffix(".py")).is_file()
    )
    return "::".join(["/".join(parts[:count]) + ".py", *parts[count:]])


def tests_of(
    mutant: Mutant, lines: dict[tuple[str, int], list[str]], seconds: dict[str, float], most_s: float
) -> list[str]:
    """Those that reach its line, its own file's first, then the quick ones, within a time as `cover` took it.

    A line that none reaches may run in a process that a test starts: then those of its folder. What a shared
    fixture runs is written down for the first test alone that has it: so the others of its file come, too.
    """
    folder, stem, room = Path(mutant.file).parent.name, Path(mutant.file).stem, Path(mutant.file).parts[0]
    begins = next((n for n in range(mutant.line, 0, -1) if (mutant.file, n) in lines), 0)  # of a statement
    reaching = lines.get((mutant.file, begins), ())
    known = [t for t in reaching if t in seconds] or [t for t in seconds if f"/{folder}/" in t]
    reached, files = set(known), {test.partition("::")[0] for test in known}
    known += [t for t in seconds if t.partition("::")[0] in files and t not in reached]

    def near(test: str) -> tuple[bool, bool, bool, bool, float]:
        of_stem, of_folder, of_room = f"test_{stem}." in test, f"/{folder}/" in test, f"tests/{room}/" in test
        return not of_stem, test not in reached, not of_folder, not of_room, seconds[test]

    chosen, spent = [], 0.0
    for test in sorted(known, key=near):
        if spent + seconds[test] <= most_s:
            chosen.append(test)
            spent += seconds[test]
    return chosen


class _Loader(importlib.abc.InspectLoader, importlib.abc.MetaPathFinder):
    """Gives one module another body."""

    def __init__(self, file: str, tree: ast.Module) -> None:
        self.path = ROOT / file
        self.module = file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        self.code = compile(ast.fix_missing_locations(tree), str(self.path), "exec")

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        if fullname != self.module:
            return None
        package = self.path.name == "__init__.py"
        spec = importlib.util.spec_from_loader(fullname, self, origin=str(self.path), is_package=package)
        assert spec is not None
        spec.has_location = True
        return spec

    def get_code(self, fullname: str) -> types.CodeType:
        return self.code

    def get_source(self, fullname: str) -> str:
        return self.path.read_text(encoding="utf-8")


def put_in(file: str, place: str) -> None:
    """The wrong line into this process and those that it starts."""
    os.environ[WRONG] = f"{file}:{place}"
    mutant, tree = next((m, tree) for m, tree in every(ROOT / file) if m.place == int(place))
    loader = _Loader(file, tree)
    sys.meta_path.insert(0, loader)
    if loader.module in sys.modules and not _exchanged(loader, tree, mutant.line):
        for name in [name for name in sys.modules if name.partition(".")[0] in OWN]:
            del sys.modules[name]


def _exchanged(loader: _Loader, tree: ast.Module, line: int) -> bool:
    """Give the function that has the line, where one has, its new body: nothing is imported anew."""
    blocks: list[ast.Module | ast.ClassDef] = [tree, *(n for n in tree.body if isinstance(n, ast.ClassDef))]
    functions = [n for block in blocks for n in block.body if isinstance(n, ast.FunctionDef)]
    outer = next((f for f in functions if f.body[0].lineno <= line <= (f.end_lineno or 0)), None)
    if outer is None:
        return False
    first = min([outer.lineno, *(decorator.lineno for decorator in outer.decorator_list)])
    code = next(c for c in _codes(loader.code) if (c.co_name, c.co_firstlineno) == (outer.name, first))
    there = [
        thing
        for thing in gc.get_objects()
        if isinstance(thing, types.FunctionType)
        and thing.__code__.co_filename == str(loader.path)
        and (thing.__code__.co_name, thing.__code__.co_firstlineno) == (outer.name, first)
    ]
    for function in there:
        function.__code__ = code
    return bool(there)


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def judged(mutant: Mutant, tests: list[str], tests_s: float) -> str:
    """What a forked process does in these tests with the wrong line in place: FAILS, LATE or LIVES."""
    child = os.fork()
    if child == 0:
        os.setsid()
        with contextlib.suppress(ValueError):
            resource.setrlimit(resource.RLIMIT_AS, (24 << 30, 24 << 30))
            resource.setrlimit(resource.RLIMIT_CPU, (int(CPU_S + tests_s),) * 2)
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1), os.dup2(null, 2)
        put_in(mutant.file, str(mutant.place))
        os._exit(_pytest([*tests, "-x"]))
    deadline = time.monotonic() + WAIT_S + WAIT_FACTOR * tests_s
    done, status = 0, 0
    while not done and time.monotonic() < deadline:
        time.sleep(0.02)
        done, status = os.waitpid(child, os.WNOHANG)
    _end(child)
    if not done:
        os.waitpid(child, 0)
    ran_out = not done or (os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL))
    return LATE if ran_out else FAILS if status else LIVES


def _pytest(arguments: list[str]) -> int:
    import pytest

    return int(pytest.main([*arguments, "-q", "-p", "no:cacheprovider", "-p", "no:cov"]))


def _end(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def verdicts(seed: int) -> dict[Mutant, dict[str, Any]]:
    """What is known of each mutant of a seed; the last word counts."""
    file = FOLDER / f"verdicts-{seed}.jsonl"
    said = map(json.loads, file.read_text(encoding="utf-8").splitlines() if file.exists() else [])
    return {Mutant(**verdict.pop("mutant")): verdict for verdict in said}


def run(sample: int, seed: int, part: str, most_s: float) -> None:
    """Judge the sample; a verdict is a line of a file. What lived is asked again with more tests alone."""
    lines, seconds = reaching()
    sys.path.insert(0, str(ROOT))
    os.chdir(ROOT)
    began = FOLDER / "begun"
    began.mkdir(exist_ok=True)
    (began / "sitecustomize.py").write_text(BEGIN)
    os.environ["PYTHONPATH"] = f"{began}{os.pathsep}{ROOT}"
    with contextlib.redirect_stdout(io.StringIO()):
        _pytest([*TESTS, "--collect-only"])  # what is imported here, no child imports again
    first, parts = map(int, part.split("/"))
    known = verdicts(seed)
    with (FOLDER / f"verdicts-{seed}.jsonl").open("a", encoding="utf-8") as file:
        for mutant in drawn(sample, seed)[first::parts]:
            tests = tests_of(mutant, lines, seconds, most_s)
            before = known.get(mutant)
            if before and (before["is"] != LIVES or before["tests"] >= len(tests) or mutant.changes_nothing):
                continue
            verdict = judged(mutant, tests, sum(seconds[test] for test in tests)) if tests else LIVES
            file.write(json.dumps({"mutant": asdict(mutant), "is": verdict, "tests": len(tests)}) + "\n")
            file.flush()


def report(seed: int) -> None:
    """Survivors, those that change nothing left out of the share."""
    asked, lived = Counter[str](), Counter[str]()
    for mutant, verdict in verdicts(seed).items():
        if verdict["is"] == LIVES and mutant.changes_nothing:
            continue
        folder = mutant.file.rsplit("/", 1)[0]
        asked[folder] += 1
        if verdict["is"] == LIVES:
            lived[folder] += 1
            print(
                f"{mutant.file}:{mutant.line}  {mutant.before} -> {mutant.after}  ({verdict['tests']} tests)"
            )
    for folder in sorted(asked):
        print(f"{folder:24} {lived[folder]:4} of {asked[folder]:4}")
    share = lived.total() / max(1, asked.total())
    print(f"{'all':24} {lived.total():4} of {asked.total():4}: {share:.1%} live")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["cover", "run", "report"])
    parser.add_argument("--sample", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--part", default="0/1", help="K/N: every Nth mutant, from the Kth.")
    parser.add_argument("--seconds", type=float, default=30, help="Of the tests of one mutant, at most.")
    given = parser.parse_args()
    if given.what == "cover":
        cover()
    elif given.what == "run":
        run(given.sample, given.seed, given.part, given.seconds)
    else:
        report(given.seed)
