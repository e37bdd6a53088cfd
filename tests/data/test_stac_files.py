"""Containers of STAC items: each form gives the same scenes, and one bad member is one problem."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from data import stac_files
from data.access import Access, UnreachableError
from data.cover import plan_chips
from data.reader import read_sample
from data.sample import InputError, Sample, SampleSpec
from data.stac import Catalog, read_catalog

from .conftest import TinyCatalog, names
from .servers import Handler, serving


@pytest.fixture
def items(tiny: TinyCatalog) -> list[dict[str, Any]]:
    """Two items whose hrefs are relative to the catalog's folder."""
    for name in ("a", "b"):
        tiny.add("s2", name, date=f"2020-0{'ab'.index(name) + 1}-01T10:00:00Z", place=None)
    found = [json.loads((tiny.folder / name / f"{name}.json").read_text()) for name in tiny.items]
    for item in found:
        item["assets"]["data"]["href"] = f"./{item['id']}/{item['id']}.tif"
    return found


def problems(catalog: Catalog) -> list[str]:
    return [problem for place in catalog.places for problem in place.problems]


def page(features: list[Any]) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": features}


@pytest.mark.parametrize(
    "form", ["collection", "list", "list of collections", "ndjson", "bom", "nulls in links"]
)
def test_every_container_gives_the_items_and_reads_them(
    tiny: TinyCatalog, items: list[dict[str, Any]], form: str
) -> None:
    text = {
        "collection": json.dumps(page(items)),
        "list": json.dumps(items),
        "list of collections": json.dumps([page(items[:1]), page(items[1:])]),
        "ndjson": "\n".join(map(json.dumps, items)) + "\n\n",
        "bom": "\ufeff" + json.dumps(page(items)),
        "nulls in links": json.dumps(page(items) | {"links": [None, 1, {"rel": "next"}]}),
    }[form]
    path = tiny.folder / "items.json"
    path.write_text(text, encoding="utf-8")
    catalog = read_catalog(path)
    assert names(catalog) == ["a", "b"]
    assert problems(catalog) == []
    samples = [read_sample(task, SampleSpec()) for task in plan_chips(catalog, SampleSpec()).tasks]
    assert all(isinstance(sample, Sample) and sample.dropped == () for sample in samples)


def test_stac_geoparquet_is_a_table_of_items(tiny: TinyCatalog, items: list[dict[str, Any]]) -> None:
    rows = []
    for item in items:
        properties = item.pop("properties")
        rows.append(
            {
                **item,
                **properties,
                "geometry": shapely.to_wkb(shapely.box(10.4, 50.5, 10.43, 50.6)),
                "bbox": {"xmin": 10.4, "ymin": 50.5, "xmax": 10.43, "ymax": 50.6},
                "links": [{"rel": "self", "href": "x", "type": None}],
            }
        )
    rows[0]["assets"]["other"] = {"href": "./t.jpg", "type": "image/jpeg"}  # null in the second row
    table = pa.Table.from_pylist(rows)
    at = table.column_names.index("datetime")
    table = table.set_column(at, "datetime", table["datetime"].cast(pa.timestamp("us", "UTC")))
    path = tiny.folder / "items.parquet"
    pq.write_table(table, path)
    catalog = read_catalog(path)
    assert names(catalog) == ["a", "b"]
    assert [scene.date.isoformat() for scene in catalog.scenes if scene.date] == [
        "2020-01-01T10:00:00+00:00",
        "2020-02-01T10:00:00+00:00",
    ]
    (task,) = plan_chips(catalog, SampleSpec()).tasks
    assert isinstance(read_sample(task, SampleSpec()), Sample)


@pytest.mark.parametrize("geometry", ["POINT (1 1)", b"cut short", {"type": "Point"}])
def test_a_geometry_that_is_no_wkb_is_an_input_error(tmp_path: Path, geometry: object) -> None:
    path = tmp_path / "items.parquet"
    pq.write_table(pa.Table.from_pylist([{"id": "a", "type": "Feature", "geometry": geometry}]), path)
    with pytest.raises(InputError, match="no stac-geoparquet"):
        read_catalog(path)


BAD: list[Any] = [
    None,
    7,
    "item",
    [],
    {},
    {"type": "Feature"},
    {"type": "Feature", "id": "x", "properties": None},
    {"type": "Feature", "id": "x", "properties": {"datetime": None}},
    {"type": "Feature", "id": "x", "properties": {"datetime": 7}, "assets": {}},
    {"type": "Feature", "id": "x", "properties": {"datetime": "2020-01-01T00:00:00Z"}, "assets": [1]},
    {"type": "Feature", "id": "x", "properties": {"datetime": "2020-01-01T00:00:00Z"}, "assets": {"a": None}},
    {
        "type": "Feature",
        "id": "x",
        "properties": {"datetime": "2020-01-01T00:00:00Z"},
        "assets": {"a": {"href": 1}},
    },
    {
        "type": "Feature",
        "id": ["x"],
        "properties": {"datetime": "2020-01-01T00:00:00Z"},
        "links": "no",
        "assets": {},
    },
    {"type": "Feature", "id": "x", "properties": {"datetime": "2020-01-01T00:00:00Z"}, "stac_version": 3},
    {"type": "Feature", "id": "x", "properties": {"datetime": "2020-01-01T00:00:00Z"}, "stac_extensions": 3},
    {
        "type": "Feature",
        "id": "x",
        "properties": {"datetime": "2020-01-01T00:00:00Z"},
        "assets": {"a": {"href": "http://[half/x.tif"}},
    },
    {"type": "Catalog", "id": "x", "links": []},
]


@pytest.mark.parametrize("member", BAD, ids=lambda member: json.dumps(member)[:70])
def test_one_bad_member_is_one_problem(tiny: TinyCatalog, items: list[dict[str, Any]], member: Any) -> None:
    path = tiny.folder / "items.json"
    path.write_text(json.dumps(page([items[0], member, items[1]])))
    catalog = read_catalog(path)
    assert names(catalog) == ["a", "b"]
    assert len(problems(catalog)) == 1


def write_child(folder: Path, name: str, links: list[dict[str, str]]) -> None:
    document = {"type": "Catalog", "stac_version": "1.0.0", "id": name, "description": "d", "links": links}
    (folder / f"{name}.json").write_text(json.dumps(document))


def test_children_in_circles_missing_or_broken(tiny: TinyCatalog, items: list[dict[str, Any]]) -> None:
    folder = tiny.folder
    links = [
        {"rel": "child", "href": f"./{name}.json"} for name in ("one", "two", "gone", "broken", "catalog")
    ]
    write_child(folder, "catalog", links)
    write_child(
        folder, "one", [{"rel": "child", "href": "./two.json"}, {"rel": "item", "href": "./a/a.json"}]
    )
    write_child(
        folder, "two", [{"rel": "child", "href": "./one.json"}, {"rel": "item", "href": "./b/b.json"}]
    )
    (folder / "broken.json").write_text("[[[")
    catalog = read_catalog(folder)
    assert names(catalog) == ["a", "b"]
    assert sorted(place.name for place in catalog.places if place.problems) == ["broken", "gone"]


def test_items_below_a_collection_are_under_its_terms(tiny: TinyCatalog, items: list[dict[str, Any]]) -> None:
    links = [{"rel": "child", "href": "./inner.json"}, {"rel": "item", "href": "./b/b.json"}]
    write_child(tiny.folder, "inner", [{"rel": "item", "href": "./a/a.json"}])
    root = {"type": "Collection", "id": "c", "description": "d", "license": "CC0-1.0", "links": links}
    (tiny.folder / "catalog.json").write_text(json.dumps(root))
    assert {scene.licence for scene in read_catalog(tiny.folder).scenes} == {"CC0-1.0"}


def test_giants_are_bounded(
    tiny: TinyCatalog, items: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tiny.folder / "items.json"
    path.write_text(json.dumps(page(items * 3)))
    with pytest.raises(InputError, match="--max-items"):
        read_catalog(path, max_items=5)
    monkeypatch.setattr(stac_files, "MAX_CATALOGS", 3)
    links = [{"rel": "child", "href": f"./c{i}.json"} for i in range(9)]
    write_child(tiny.folder, "catalog", links)
    with pytest.raises(InputError, match="narrow it down"):
        read_catalog(tiny.folder, max_items=2)


def test_a_catalog_on_a_server_that_grows_children_for_ever_ends(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(stac_files, "MAX_CATALOGS", 30)

    def child(handler: Handler) -> object:
        links = [{"rel": "child", "href": f"{handler.path}x"}, {"rel": "child", "href": f"{handler.path}y"}]
        return {"type": "Catalog", "id": "c", "links": links}

    with serving(tmp_path) as served:
        served.pages = child
        with pytest.raises(InputError, match="narrow it down"):
            read_catalog(f"{served.url}/c", Access(tries=1), max_items=1)


@pytest.mark.usefixtures("short_waits")
def test_an_item_that_does_not_answer_is_told_apart_from_a_missing_one(tiny: TinyCatalog) -> None:
    for name in ("a", "b", "c"):
        tiny.add("s2", name)
    tiny.add("s2", "d", **{"proj:transform": None})  # its grid is in its raster alone
    tiny.write()
    (tiny.folder / "c" / "c.json").unlink()
    with serving(tiny.folder) as served:
        served.fault = lambda handler, number: (
            handler.path.endswith(("b.json", "d.tif")) and handler.give(503) is None
        )
        catalog = read_catalog(f"{served.url}/catalog.json", Access(tries=2))
        assert names(catalog) == ["a"]
        assert "b.json" in catalog.unreachable[0]
        assert "item d: " in catalog.unreachable[1]
        assert "c.json cannot be read" in problems(catalog)[0]
        served.fault = lambda handler, number: handler.give(503) is None
        with pytest.raises(UnreachableError):
            read_catalog(f"{served.url}/catalog.json", Access(tries=2))
