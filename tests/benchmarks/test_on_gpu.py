"""Steps run one after the other, each once, within their time."""

import json
from pathlib import Path

import pytest

from benchmarks import encoder, on_gpu
from benchmarks.on_gpu import STEPS, Step, main

PROGRAM = """
import json, sys, time
what, *_, device, _, out = sys.argv[1:]
if what == "fails":
    raise SystemExit("it is broken")
if what == "sleeps":
    time.sleep(60)
open(out, "w").write(json.dumps([what, device]))
"""


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "a_step.py").write_text(PROGRAM)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    steps = [
        Step(what, "a_step", (what,), 1.0 if what == "sleeps" else 30.0)
        for what in ("fails", "sleeps", "works")
    ]
    monkeypatch.setattr(on_gpu, "STEPS", steps)
    return tmp_path / "out"


def test_what_fails_or_takes_too_long_stops_no_other(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["-o", str(out), "--device", "cpu"])
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("fails: failed: it is broken, ")
    assert said[1].startswith("sleeps: cut off after 1 s, ")
    assert said[2].startswith("works: done, ")
    assert [path.name for path in out.glob("*.json")] == ["works.json"]
    assert json.loads((out / "works.json").read_text()) == ["works", "cpu"]


def test_what_is_there_is_not_measured_again(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    earlier = out.parent / "earlier"
    earlier.mkdir(parents=True)
    for name in ("fails", "sleeps"):
        (earlier / f"{name}.json").write_text("{}")
    main(["-o", str(out), "--have", str(earlier), "--device", "cpu"])
    main(["-o", str(out), "--have", str(earlier), "--device", "cpu"])
    said = [line.rpartition(",")[0] for line in capsys.readouterr().out.splitlines()]
    assert said == ["fails: is there", "sleeps: is there", "works: done"] + [
        f"{name}: is there" for name in ("fails", "sleeps", "works")
    ]


def test_nothing_is_begun_for_which_no_time_is_left(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["-o", str(out), "--budget", "0"])
    assert capsys.readouterr().out.count("no time is left") == 3


def test_every_case_of_the_encoder_that_is_named_exists() -> None:
    wanted = [step.words[1] for step in STEPS if step.module == "benchmarks.encoder"]
    assert len(wanted) > 5
    for start in wanted:
        assert any(case.name.startswith(start) for case in encoder.CASES), start
    assert len({step.name for step in STEPS}) == len(STEPS)
