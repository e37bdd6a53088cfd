"""Live catalogs, on loopback: pages, searches, what a server ignores, and the list that a job keeps."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import shapely

from data.access import Access, UnreachableError
from data.sample import InputError
from data.stac import read_catalog, search_catalog
from data.stac_api import Search, _interval, _where, parse_query
from data.stac_files import own_address

from .conftest import TinyCatalog, names
from .servers import Handler, Served, api, serving

PATIENT = Access(wait_s=3, tries=2)


pytestmark = pytest.mark.usefixtures("short_waits")


@pytest.fixture
def tiny_items(tiny: TinyCatalog) -> list[dict[str, Any]]:
    """Five items of one collection and one of another; whole hrefs, a box, and clouds."""
    for i in range(5):
        tiny.add("s2", f"s{i}", date=f"2020-0{i + 1}-01T10:00:00Z", **{"eo:cloud_cover": 10 * i})
    tiny.add("s1", "radar")
    items = [json.loads((tiny.folder / name / f"{name}.json").read_text()) for name in tiny.items]
    for item in items:
        item["bbox"] = [10.4, 50.5, 10.42, 50.6]
        item["geometry"] = shapely.geometry.mapping(shapely.box(*item["bbox"]))
        item["assets"]["data"]["href"] = f"https://example.org/{item['id']}.tif?sig=SECRET&se=1"
    return items


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path) as server:
        yield server


@pytest.mark.parametrize("post", [False, True])
def test_every_page_of_a_search_is_read(served: Served, tiny_items: list[dict[str, Any]], post: bool) -> None:
    served.pages = api([*tiny_items, tiny_items[0]], post=post)  # one comes twice
    found = search_catalog(Search(f"{served.url}/", ("sentinel-2-l2a",)), PATIENT)
    (place,) = found.places
    assert [scene.item_id for scene in place.scenes] == ["s0", "s1", "s2", "s3", "s4"]
    assert {request.split()[0] for request in served.requests[1:]} == {"POST" if post else "GET"}


def test_the_address_of_a_page_is_followed_too(served: Served, tiny_items: list[dict[str, Any]]) -> None:
    served.pages = api(tiny_items)
    assert len(read_catalog(f"{served.url}/search?collections=sentinel-2-l2a", PATIENT).scenes) == 5


def test_a_saved_page_says_what_it_lacks(tmp_path: Path, tiny_items: list[dict[str, Any]]) -> None:
    page = {"type": "FeatureCollection", "features": tiny_items[:2], "numberMatched": 5, "links": []}
    path = tmp_path / "page.json"
    path.write_text(json.dumps(page))
    (note,) = read_catalog(path).notes
    assert "2 of the 5 items" in note
    page["numberMatched"] = 2
    path.write_text(json.dumps(page))
    assert read_catalog(path).notes == ()
    del page["numberMatched"]
    path.write_text(json.dumps(page | {"context": {"matched": 7}}))
    assert "of the 7 items" in read_catalog(path).notes[0]


def test_a_server_that_pages_in_a_circle_is_left(served: Served, tiny_items: list[dict[str, Any]]) -> None:
    def around(handler: Handler) -> object:
        link = {"rel": "next", "href": f"/search?n={len(handler.served.requests)}"}
        return {"type": "FeatureCollection", "features": tiny_items[:2], "links": [link]}

    served.pages = around
    with pytest.raises(InputError, match="pages in a circle"):
        read_catalog(f"{served.url}/search", PATIENT)


def test_more_than_max_items_names_the_flag(served: Served, tiny_items: list[dict[str, Any]]) -> None:
    served.pages = api(tiny_items)
    with pytest.raises(InputError, match="--max-items"):
        search_catalog(Search(f"{served.url}/", ("sentinel-2-l2a",)), PATIENT, max_items=3)


def test_what_a_server_ignores_is_left_out_here(served: Served, tiny_items: list[dict[str, Any]]) -> None:
    served.pages = api(tiny_items)
    tiny_items[2]["properties"]["eo:cloud_cover"] = "20"
    search = Search(f"{served.url}/", ("sentinel-2-l2a",), query=("eo:cloud_cover<25",))
    found = search_catalog(search, PATIENT)
    assert names(found) == ["s0", "s1", "s2"]
    assert "2 items that the server gave are not what was asked for" in found.notes[0]
    assert not any("query=" in request for request in served.requests)


def test_a_query_is_sent_to_a_server_that_knows_it(served: Served, tiny_items: list[dict[str, Any]]) -> None:
    answer = api(tiny_items)

    def pages(handler: Handler) -> object:
        page: Any = answer(handler)
        if handler.path == "/":
            page["conformsTo"].append("https://api.stacspec.org/v1.0.0/item-search#query")
        return page

    served.pages = pages
    search_catalog(Search(f"{served.url}/", ("sentinel-2-l2a",), query=("eo:cloud_cover<25",)), PATIENT)
    assert "eo%3Acloud_cover" in next(request for request in served.requests if "/search" in request)


def test_the_items_of_a_job_are_kept_without_their_signatures(
    served: Served, tiny_items: list[dict[str, Any]], tmp_path: Path
) -> None:
    served.pages = api(tiny_items[:3])
    kept = tmp_path / "table" / "items" / "x.json"
    search = Search(f"{served.url}/", ("sentinel-2-l2a",))
    first = search_catalog(search, PATIENT, kept=kept)
    assert "SECRET" not in kept.read_text()
    served.pages = api(tiny_items)  # more have come since
    asked = len(served.requests)
    again = search_catalog(search, PATIENT, kept=kept)
    assert names(again) == names(first) == ["s0", "s1", "s2"]
    assert len(served.requests) == asked
    assert again.access == first.access
    assert "--search-again" in again.notes[0]


def test_one_bad_member_of_an_answer_is_one_problem_and_is_kept_as_one(
    served: Served, tiny_items: list[dict[str, Any]], tmp_path: Path
) -> None:
    """Their assets are a list, their address and that of their collection none, their properties no table."""
    link = {"rel": "collection", "href": "http://[half/collections/s2"}
    bad = [
        tiny_items[0] | {"id": "list", "assets": [{"href": "https://example.org/x?sig=SECRET"}]},
        tiny_items[0] | {"id": "half", "assets": {"data": {"href": "http://[half/x.tif?sig=SECRET"}}},
        tiny_items[0] | {"id": "none", "properties": [1]},
    ]
    served.pages = api([*bad, tiny_items[1] | {"links": [link]}])
    kept = tmp_path / "x.json"
    search = Search(f"{served.url}/", ("sentinel-2-l2a",))
    for _ in range(2):
        found = search_catalog(search, PATIENT, kept=kept)
        assert names(found) == ["s1"]
        assert {place.name for place in found.places if place.problems} >= {"none"}
    assert "SECRET" not in kept.read_text()
    clear = Search(search.api, search.collections, query=("eo:cloud_cover<40",))
    assert names(search_catalog(clear, PATIENT)) == ["s1"]


def test_the_terms_of_a_collection_are_those_of_its_items(
    served: Served, tiny_items: list[dict[str, Any]]
) -> None:
    for item in tiny_items:
        item["links"] = [{"rel": "collection", "href": "/collections/s2"}]
    tiny_items[1]["properties"]["license"] = "its own"
    answer = api(tiny_items)
    provider = {"name": "A Producer", "roles": ["producer"]}
    terms = {"type": "Collection", "id": "s2", "license": "CC-BY-4.0", "providers": [provider]}
    served.pages = lambda handler: terms if handler.path == "/collections/s2" else answer(handler)
    found = search_catalog(Search(f"{served.url}/", ("sentinel-2-l2a",)), PATIENT)
    assert [scene.licence for scene in sorted(found.scenes, key=lambda s: s.item_id)] == [
        "CC-BY-4.0",
        "its own",
        *["CC-BY-4.0"] * 3,
    ]
    assert all("A Producer" in scene.attribution for scene in found.scenes)
    assert served.seen()["/collections/s2"] == 1


def test_searches_have_names_of_their_own() -> None:
    box = shapely.box(1, 2, 3, 4)
    one = Search("https://x.org", ("a", "b"), box)
    assert one.digest == Search("https://x.org", ("b", "a"), shapely.box(1, 2, 3, 4)).digest
    others = [
        Search("https://y.org", ("a", "b"), box),
        Search("https://x.org", ("a",), box),
        Search("https://x.org", ("a", "b")),
        Search("https://x.org", ("a", "b"), box, end=datetime(2020, 1, 1, tzinfo=UTC)),
        Search("https://x.org", ("a", "b"), box, query=("c<1",)),
    ]
    assert len({search.digest for search in (one, *others)}) == 6


def test_the_words_of_a_search() -> None:
    assert parse_query(("eo:cloud_cover<=40", "eo:cloud_cover > 5", "platform=sentinel-2a", "x:ok=true")) == {
        "eo:cloud_cover": {"lte": 40.0, "gt": 5.0},
        "platform": {"eq": "sentinel-2a"},
        "x:ok": {"eq": True},
    }
    with pytest.raises(InputError, match="--query"):
        parse_query(("cloudy",))
    start, end = datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 2, 1, tzinfo=UTC)
    assert _interval(Search("", (), None, start, end)) == "2020-01-01T00:00:00Z/2020-01-31T23:59:59Z"
    assert _interval(Search("", (), None, None, end)) == "../2020-01-31T23:59:59Z"
    assert _where(shapely.box(1, 2, 3, 4)) == {"bbox": (1, 2, 3, 4)}
    across = shapely.union_all([shapely.box(170, 0, 180, 5), shapely.box(-180, 0, -170, 5)])
    assert _where(across)["intersects"]["type"] == "MultiPolygon"
    many = shapely.Point(0, 0).buffer(5, quad_segs=1000)
    boxes = shapely.geometry.shape(_where(many)["intersects"])
    assert shapely.get_num_coordinates(boxes) < 20
    assert boxes.covers(many)
    assert boxes.area < 1.5 * many.area


@pytest.mark.parametrize("path", ["", "/nowhere"])
def test_what_is_no_api_is_an_input_error(served: Served, path: str) -> None:
    served.pages = lambda handler: {"type": "Catalog"} if handler.path == "/" else None
    with pytest.raises(InputError):
        search_catalog(Search(f"{served.url}{path or '/'}", ("x",)), PATIENT)


def test_an_api_without_collections_asks_for_them(served: Served, tiny_items: list[dict[str, Any]]) -> None:
    served.pages = api(tiny_items)
    with pytest.raises(InputError, match="--collections"):
        read_catalog(f"{served.url}/", PATIENT)


def test_an_api_that_fails_is_unreachable(served: Served) -> None:
    served.fault = lambda handler, number: handler.give(503) is None
    with pytest.raises(UnreachableError):
        search_catalog(Search(f"{served.url}/", ("x",)), PATIENT)


def test_a_link_to_no_address_is_an_input_error(served: Served) -> None:
    link = {"rel": "next", "href": "http://[half/search"}
    served.pages = lambda handler: {"type": "FeatureCollection", "features": [{"id": "a"}], "links": [link]}
    with pytest.raises(InputError, match="does not answer as a STAC API"):
        read_catalog(f"{served.url}/search", PATIENT)


def test_a_link_of_a_server_reads_no_local_file(served: Served, tmp_path: Path) -> None:
    (tmp_path / "page.json").write_text('{"type": "FeatureCollection", "features": [{"id": "secret"}]}')
    link = {"rel": "next", "href": f"file://{tmp_path}/page.json"}
    served.pages = lambda handler: {"type": "FeatureCollection", "features": [{"id": "a"}], "links": [link]}
    with pytest.raises(InputError, match="no address of a STAC API"):
        read_catalog(f"{served.url}/search", PATIENT)


def test_a_real_server_is_paged_through(tmp_path: Path, tiny_items: list[dict[str, Any]]) -> None:
    """rustac's, which does not know `query`: sent one, it finds nothing and says nothing."""
    command = Path(sys.executable).parent / "rustac"
    if not command.exists():
        pytest.skip("rustac is not installed")
    items = [
        {
            **tiny_items[0],
            "id": f"n{i:03}",
            "properties": tiny_items[0]["properties"] | {"eo:cloud_cover": i / 5},
        }
        for i in range(450)
    ]
    path = tmp_path / "items.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    server = subprocess.Popen(
        [command, "serve", path, "--create-collections", "--use-duckdb", "false", "--addr", address],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(100):
            with socket.socket() as ready:
                if ready.connect_ex(("127.0.0.1", int(address.rpartition(":")[2]))) == 0:
                    break
            time.sleep(0.1)
        search = Search(f"http://{address}/", ("sentinel-2-l2a",), shapely.box(10, 50, 11, 51))
        assert len(search_catalog(search, PATIENT).scenes) == 450
        elsewhere = Search(f"http://{address}/", ("sentinel-2-l2a",), shapely.box(0, 0, 1, 1))
        with pytest.raises(InputError, match="has no items"):
            search_catalog(elsewhere, PATIENT)
        clear = Search(search.api, search.collections, search.area, query=("eo:cloud_cover<20",))
        assert len(search_catalog(clear, PATIENT).scenes) == 100
    finally:
        server.terminate()
        server.wait()


@pytest.mark.parametrize(
    ("member", "href", "own"),
    [
        ({"links": [{"rel": "self", "href": "https://h/items/a"}]}, "https://h/search", "https://h/items/a"),
        ({"links": [{"rel": "self", "href": "./a.json"}]}, "https://h/search", "https://h/search"),
        ({"links": [{"rel": "self", "href": "https://h/items/a"}]}, "/data/page.json", "/data/page.json"),
        ({"links": []}, "https://h/search", "https://h/search"),
        ("text", "https://h/search", "https://h/search"),
    ],
)
def test_what_a_members_relative_hrefs_start_from(member: object, href: str, own: str) -> None:
    assert own_address(member, href) == own
