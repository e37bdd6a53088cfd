"""The page in a browser: `python -m benchmarks.page [--rows N] [--table DIR] [--beside CHECKOUT]`.

A table of N rows side by side in headless Chromium: how long until the map is there, until a click's card is,
until an answer is drawn, how many of a hundred clicks are lost, how many bytes an answer takes and how much
memory the server. Beside it, in the same run and on the same table, another checkout of skyhex, whose page is
known by its status alone: until it has opened, and until it has drawn a typed place.

Seconds are those of a clock, and of a busy machine with it; what the server works on a question is told in
seconds of its processors, too: for the answer that the map fetches alone, and for all that a question starts.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h3
import numpy as np
from playwright.sync_api import Page, Response, sync_playwright
from playwright.sync_api import TimeoutError as TooLate

from indexer.geo.cells import boundary
from indexer.index.faiss_index import build_index
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.schema import ModelInfo, make_rows
from search_app.cli.launch import FLAGS, free_port, stop

from .machine import ROOT, describe

PACKAGES = ("skyhex", "streamlit", "pyarrow", "playwright")
DIMENSION = 128
BATCH_ROWS = 50_000
CLICKS, QUESTIONS, ANSWERS, PLACES = 100, 10, 40, 5
WAIT_MS, LOST_MS = 300_000, 20_000
CHROMIUM = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
OLD_MAP = "[data-testid=stDeckGlJsonChart] canvas"
STILL = "[data-testid=stApp][data-test-script-state=notRunning]"
# Streamlit's command, a checkout before all that is installed.
STREAMLIT = "import sys; sys.path.insert(0, sys.argv.pop(1)); from streamlit.web.cli import main; main()"
LINKED = "place => new URLSearchParams(location.search).getAll('like').includes(place)"
CENTRE = (47.0, 10.0)  # lat, lon


def make_table(path: Path, rows: int) -> EmbeddingTable:
    """A seeded table of one row per H3 cell of resolution 9, in a disk, with an index."""
    model = ModelInfo("skyhex/bench", "0" * 64, DIMENSION, "Apache-2.0", trained=False)
    radius = int(np.ceil(np.sqrt(rows / 3)))
    names = sorted(h3.grid_disk(h3.latlng_to_cell(*CENTRE, 9), radius))[:rows]
    rng = np.random.default_rng(0)
    themes = rng.normal(size=(24, DIMENSION))  # what the land is made of
    year = (datetime(2021, 1, 1, tzinfo=UTC), datetime(2022, 1, 1, tzinfo=UTC))
    table = EmbeddingTable.create(path, model, h3_resolution=9)
    for first in range(0, len(names), BATCH_ROWS):
        some = names[first : first + BATCH_ROWS]
        n = len(some)
        table = table.upsert(
            make_rows(
                h3_cell=np.array([h3.str_to_int(name) for name in some], np.uint64),
                sample_id=some,
                start=[year[0]] * n,
                end=[year[1]] * n,
                footprint=[boundary(h3.str_to_int(name)) for name in some],
                embedding=(themes[rng.integers(0, 24, n)] + rng.normal(size=(n, DIMENSION))).astype(
                    np.float32
                ),
                model=model,
                n_hr=[1] * n,
                n_s2=[4] * n,
                n_s1=[2] * n,
                valid_fraction=[1.0] * n,
                cloud_fraction=[0.0] * n,
                source_items=[[] for _ in range(n)],
            )
        )
    build_index(table)
    return table


@contextmanager
def served(script: Path, checkout: Path, table: Path) -> Iterator[tuple[str, int]]:
    """A checkout's page on a table: its address and the server's process."""
    port = free_port(None)
    flags = {**FLAGS, "server.port": str(port), "server.headless": "true"}
    given = [f"--{name}={value}" for name, value in flags.items()]
    server = subprocess.Popen(
        [sys.executable, "-c", STREAMLIT, str(checkout), "run", str(script), *given],
        env={**os.environ, "SKYHEX_TABLE": str(table)},
        cwd=checkout,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_until_up(f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}", server.pid
    finally:
        stop(server)


def _wait_until_up(url: str) -> None:
    for _ in range(600):
        try:
            urllib.request.urlopen(f"{url}/_stcore/health", timeout=1)
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(f"{url} did not come up in a minute")


def measure_new(page: Page, url: str, pid: int, snapshot: int) -> dict[str, Any]:
    """This checkout's page."""
    sizes: list[int] = []

    def weigh(answer: Response) -> None:
        if "/skyhex/similarity" in answer.url:
            sizes.append(int(answer.headers["content-length"]))

    page.on("response", weigh)
    opened = opening(page, url, ".stage[data-nodes]")
    zoom_in(page)
    places = spread(page, CLICKS)
    looks = [look(page, x, y) for x, y in places]
    page.locator(STILL).wait_for(timeout=WAIT_MS)
    worked = cpu_s(pid)
    asks = [ask(page, x, y) for x, y in places[:QUESTIONS]]
    page.locator(STILL).wait_for(timeout=WAIT_MS)
    worked = cpu_s(pid) - worked
    rows = int(page.locator("output.above").get_attribute("data-cells") or 0)
    return {
        "open_s": opened,
        "click_to_card_s": summary([seconds for seconds in looks if seconds is not None]),
        "clicks": CLICKS,
        "clicks_lost": looks.count(None),
        "ask_to_redrawn_s": summary(asks),
        "ask_server_cpu_s": round(worked / QUESTIONS, 3),
        "answer": answers(
            url, pid, snapshot, [cell_under(page, x, y) for x, y in places[QUESTIONS:][:ANSWERS]]
        ),
        "typed_place_to_still_s": summary(typed_places(page)),
        "bytes_per_cell": max(sizes) / rows,
        "server_mb": resident_mb(pid),
    }


def measure_old(page: Page, url: str, pid: int) -> dict[str, Any]:
    """Another checkout's page, of which only the status is known."""
    opened = opening(page, url, OLD_MAP)
    typed = summary(typed_places(page))
    return {"open_s": opened, "typed_place_to_still_s": typed, "server_mb": resident_mb(pid)}


def opening(page: Page, url: str, shown: str) -> float:
    """Seconds until a map is there and the page at rest."""
    started = time.perf_counter()
    page.goto(url)
    page.locator(shown).first.wait_for(timeout=WAIT_MS)
    page.locator(STILL).wait_for(timeout=WAIT_MS)
    return round(time.perf_counter() - started, 3)


def zoom_in(page: Page) -> None:
    """To where single cells are drawn."""
    stage = page.locator(".stage").first
    stage.focus()
    for _ in range(12):
        if stage.get_attribute("data-resolution") == "9":
            return
        page.keyboard.press("+")
        time.sleep(1)
    raise TimeoutError("the map did not come down to single cells")


def spread(page: Page, count: int) -> list[tuple[float, float]]:
    """Places on the map, clear of its buttons, in an order that jumps."""
    box = page.locator(".stage").first.bounding_box()
    assert box
    side = int(np.ceil(np.sqrt(count)))
    steps = np.linspace(0.2, 0.6, side)
    places = [(box["x"] + box["width"] * a * 0.7, box["y"] + box["height"] * b) for a in steps for b in steps]
    return [places[i] for i in np.random.default_rng(1).permutation(len(places))[:count]]


def look(page: Page, x: float, y: float) -> float | None:
    """Seconds from a click to the card of the cell that lies there; None where it stays away."""
    page.keyboard.press("Escape")
    page.mouse.move(x, y)
    cell = cell_under(page, x, y)
    started = time.perf_counter()
    page.mouse.click(x, y)
    try:
        page.locator(f".card[data-cell='{cell}'] dl").wait_for(timeout=LOST_MS)
    except TooLate:
        return None
    return time.perf_counter() - started


def cell_under(page: Page, x: float, y: float) -> str:
    """The cell of a place on the screen, by what the map says of its edges."""
    stage = page.locator(".stage").first
    box = stage.bounding_box()
    assert box
    west, south, east, north = (float(side) for side in (stage.get_attribute("data-extent") or "").split())
    top, bottom = (np.arcsinh(np.tan(np.radians(lat))) for lat in (north, south))
    down = top + (bottom - top) * (y - box["y"] - 1) / (box["height"] - 2)
    lon = west + (east - west) * (x - box["x"] - 1) / (box["width"] - 2)
    return str(h3.latlng_to_cell(float(np.degrees(np.arctan(np.sinh(down)))), lon, 9))


def ask(page: Page, x: float, y: float) -> float:
    """Seconds from "like this" of the cell at a place to the map drawn with the answer."""
    assert look(page, x, y) is not None
    cell = page.locator(".card").first.get_attribute("data-cell")
    started = time.perf_counter()
    page.keyboard.press("l")
    page.locator(f".stage[data-question^='like={cell}']").first.wait_for(timeout=WAIT_MS)
    return time.perf_counter() - started


def answers(url: str, pid: int, snapshot: int, cells: list[str]) -> dict[str, Any]:
    """What the server takes to answer a new question, two bytes a cell: clock and processors."""
    seconds, worked = [], cpu_s(pid)
    for cell in cells:
        started = time.perf_counter()
        with urllib.request.urlopen(f"{url}/skyhex/similarity?snapshot={snapshot}&like={cell}") as answer:
            answer.read()
        seconds.append(time.perf_counter() - started)
    return {"s": summary(seconds), "cpu_s": round((cpu_s(pid) - worked) / len(cells), 4)}


def cpu_s(pid: int) -> float:
    """Seconds that a process has worked so far, on all processors."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def typed_places(page: Page) -> list[float]:
    """Seconds from each of some places typed to the page at rest."""
    field = page.get_by_placeholder("lon, lat")
    seconds = []
    for number in range(1, PLACES + 1):
        lon = f"{CENTRE[1] + 0.01 * number:g}"
        field.fill(f"{lon}, {CENTRE[0]:g}")
        started = time.perf_counter()
        field.press("Enter")
        page.wait_for_function(LINKED, arg=f"{lon},{CENTRE[0]:g}", timeout=WAIT_MS)
        page.locator(STILL).wait_for(timeout=WAIT_MS)
        seconds.append(time.perf_counter() - started)
    return seconds


def summary(seconds: list[float]) -> dict[str, float]:
    """Median and worst."""
    return {"median": round(statistics.median(seconds), 3), "worst": round(max(seconds), 3)}


def resident_mb(pid: int) -> float:
    """Memory of a process that is its own: without pages of files, such as the mapped index."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("RssAnon")]
    return round(int(line.split()[1]) / 1024, 1)


def main(argv: list[str] | None = None) -> None:
    """Measures, prints and keeps what was measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--table", type=Path, help="one that `make_table` made before; else it is made")
    parser.add_argument("--beside", type=Path, help="another checkout of skyhex")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    args = parser.parse_args(argv)
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("chromium is not installed: apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        table = args.table or make_table(Path(folder) / "table", args.rows).path
        browser = playwright.chromium.launch(executable_path=chromium, args=list(CHROMIUM))
        report: dict[str, Any] = {"machine": describe(PACKAGES), "rows": args.rows, "dimension": DIMENSION}
        if args.beside:
            script = args.beside / "search_app" / "streamlit_app.py"
            with served(script, args.beside.resolve(), table) as (url, pid):
                report["beside"] = measure_old(
                    browser.new_page(viewport={"width": 1300, "height": 900}), url, pid
                )
        with served(ROOT / "search_app" / "page" / "serve.py", ROOT, table) as (url, pid):
            tab = browser.new_page(viewport={"width": 1300, "height": 900})
            report["page"] = measure_new(tab, url, pid, EmbeddingTable.open(table).snapshot)
        if args.beside:
            old, new = report["beside"], report["page"]
            report["times_faster"] = {
                "open": round(old["open_s"] / new["open_s"], 1),
                "ask_against_typing": round(
                    old["typed_place_to_still_s"]["median"] / new["ask_to_redrawn_s"]["median"], 1
                ),
            }
    print(json.dumps(report, indent=1))
    (args.results / f"page-{args.rows}.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
