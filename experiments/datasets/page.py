"""docs/datasets.md, written from what the readers know: `python -m experiments.datasets.page`."""

from pathlib import Path

from .about import About
from .catalog import PUBLISHED

PAGE = Path(__file__).resolve().parents[2] / "docs" / "datasets.md"
HEAD = """# Data sets

The sets that the SkySense paper measures on, as their authors lay them out, and how `skyhex eval task NAME
FOLDER` asks them. Nothing is downloaded: you fetch a set from its source, under its terms.

**Every reader here was tested on a generator of its layout alone**
(`tests/experiments/datasets/make_sets.py`): none of these sets lay beside this project, so no number of
theirs is reported. What a layout, a split or a measure rests on is said with each, and how sure it is. A
file that is not as told here is named in the error, with what was expected.

`skyhex eval task places CATALOG` asks a STAC catalog with label rasters, of your own or simulated (`skyhex
demo`).

| name | set | task | truth | published measure |
|---|---|---|---|---|
"""
TAIL = """
## How a set is asked

- `--split validation` (the default) fits on the train part and asks the validation part; where none is
  published, whole places of the train part. `--split test` asks the published test part.
- Items to fit on that share a place with an asked one, or lie within 5 km of it, are left out and counted,
  so scores can be lower than on the published split; `--official` keeps them. Sets without positions say
  so.
- At most 200 tiles are fitted on and 200 asked (`--max-train`, `--max-test`), a seeded draw: numbers of a
  draw are not those of the whole set, and the head of the report says what was drawn.
- The published measure comes first and is the one of the verdict; other measures stand beside it.
"""


def page() -> str:
    """The whole page."""
    lines = [
        f"| `{about.name}` | {about.title} | {about.task} | {about.kind} | {about.measure} |"
        for about in PUBLISHED
    ]
    return HEAD + "\n".join(lines) + "\n" + TAIL + "".join(section(about) for about in PUBLISHED)


def section(about: About) -> str:
    """All that is known of one set."""
    splits = ", ".join(f"{name}: {fitted} -> {asked}" for name, (fitted, asked) in about.splits.items())
    return f"""
## {about.title} (`{about.name}`)

- Source: {about.source}
- Terms: {about.terms}. Size: {about.size}.
- Layout: {about.layout_source}.
- Splits (fitted on -> asked): {splits}.
- Measure: {about.measure}. {about.convention[0].upper()}{about.convention[1:]}.
- {len(about.classes)} classes: {", ".join(about.classes)}.
"""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
