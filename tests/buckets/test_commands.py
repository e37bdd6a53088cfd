"""The command line on a table in a bucket, and what it says where there is none to be had."""

import json
import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from data.simulate import simulate
from data.simulate.area import Area
from indexer.errors import TableError
from indexer.index.faiss_index import index_info
from indexer.table.copy import copy_table
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.storage import Storage
from search_app.cli.main import app, main

from ..indexer.random_rows import random_rows
from ..indexer.small_tables import place_table, whole
from .network import Network


def skyhex(*words: str) -> str:
    answer = CliRunner().invoke(app, words, catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    return answer.stdout


def test_commands_take_an_address(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    local = place_table(tmp_path / "local")
    skyhex("copy", "local", address)
    for one in (address, "local"):
        skyhex("index", "-t", one)
    cell = f"{whole(local)['h3_cell'][0].as_py():x}"
    words = ("search", "--cell", cell, "-k", "5", "--format", "json", "-t")
    assert json.loads(skyhex(*words, address)) == json.loads(skyhex(*words, "local"))
    skyhex("prototypes", "fit", "-t", address)
    for words in (
        ("compact",),
        ("vacuum",),
        ("validate",),
        ("validate", "--repair"),
        ("log",),
        ("prototypes", "list"),
    ):
        skyhex(*words, "-t", address)
    count = ("sql", "SELECT count(*) AS n FROM embeddings", "--format", "json", "-t")
    assert skyhex(*count, address) == skyhex(*count, "local")
    assert address in skyhex("info", "-t", address)
    skyhex("export", "--to", "geoparquet", "-o", "out.parquet", "-t", address)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "local", "out.parquet"]


def test_imagery_is_embedded_into_a_bucket_and_shown(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    catalog = simulate(tmp_path / "imagery", areas=(Area("here", 10.0, 47.0, 1600),), s2_dates=1, s1_dates=1)
    words = ("embed", str(catalog), "-t", address, "--bbox", "9.98", "46.98", "10.02", "47.02")
    skyhex(*words, "--granularity", "10", "--workers", "0")
    table, finer = EmbeddingTable.open(address), EmbeddingTable.open(f"{address}-r10")
    assert table.row_count > 3
    assert finer.row_count > table.row_count
    assert index_info(table).missing_rows == 0  # type: ignore[union-attr]
    skyhex(*words, "--granularity", "10", "--workers", "0")
    assert EmbeddingTable.open(address).snapshot == table.snapshot  # nothing was left to do
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "imagery"]
    monkeypatch.setenv("SKYHEX_TABLE", address)
    page = AppTest.from_file(
        Path(__file__).parents[2] / "search_app/page/streamlit_app.py", default_timeout=60
    )
    page.run()
    assert not page.exception
    assert not page.error


def test_a_copy_that_was_stopped_goes_on(
    address: str, between: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = place_table(tmp_path / "local").upsert(random_rows(50, seed=4))
    put, left = Storage.put, iter(range(2))

    def refuse_the_third(self: Storage, path: str, content: bytes, flush: bool = True) -> None:
        if path.startswith(("h3_r", "rows/")) and next(left, None) is None:
            raise TableError("the power is gone")
        put(self, path, content, flush)

    copy_table(tmp_path / "local", address)
    monkeypatch.setattr(Storage, "put", refuse_the_third)
    with pytest.raises(TableError, match="the power is gone"):
        copy_table(address, tmp_path / "back")
    assert not EmbeddingTable.exists(tmp_path / "back")
    monkeypatch.setattr(Storage, "put", put)
    done = copy_table(address, tmp_path / "back")
    back = EmbeddingTable.open(tmp_path / "back")
    assert (done.already, done.snapshots) == (2, 3)
    assert back.manifest == table.manifest
    assert back.validate() == []
    assert copy_table(address, tmp_path / "back").files == 0
    table.upsert(random_rows(10, seed=9))
    assert copy_table(tmp_path / "local", address).snapshots == 1
    back.upsert(random_rows(10, seed=10))
    with pytest.raises(TableError, match="holds another table, or one that went its own way"):
        copy_table(address, tmp_path / "back")
    with pytest.raises(TableError, match="nowhere is not there"):
        copy_table(tmp_path / "nowhere", address)


@pytest.mark.parametrize(
    ("changes", "place", "said"),
    [
        ({"AWS_ACCESS_KEY_ID": ""}, "", "no credentials for s3://: set AWS_ACCESS_KEY_ID"),
        ({}, "s3://no-such-bucket/t", "there is no bucket no-such-bucket: make it, or correct its name"),
        ({}, "az://container/t", "no credentials for az://: set AZURE_STORAGE_ACCOUNT_NAME"),
        ({}, "http://127.0.0.1:1", "cannot list http://127.0.0.1:1/manifests"),
        ({}, "s3://", "is no place of a table: expected a folder, s3://BUCKET/PATH"),
        ({}, "ftp://host/t", "is no place of a table: expected a folder, s3://BUCKET/PATH"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "", "cannot list"),
        ({"AWS_ENDPOINT_URL": "http://store.invalid"}, "", "set AWS_ALLOW_HTTP=true if that is meant"),
        ({"SKYHEX_CACHE_GB": "-1"}, "", "expected gigabytes"),
    ],
)
def test_what_cannot_be_reached_is_said_in_one_line(
    address: str,
    changes: dict[str, str],
    place: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(tmp_path))  # no profile
    monkeypatch.setattr(sys, "argv", ["skyhex", "info", "-t", place or address])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert said in " ".join(capsys.readouterr().err.split())


def test_another_region_and_a_refusal_say_what_to_do(address: str, between: Network) -> None:
    between.fault_of = lambda method, path: "elsewhere"
    with pytest.raises(TableError, match="lies in another region: set AWS_REGION to it"):
        EmbeddingTable.open(address)
    between.fault_of = lambda method, path: "refused"
    with pytest.raises(TableError, match="access is refused: check AWS_ACCESS_KEY_ID"):
        EmbeddingTable.open(address)


def test_a_profile_is_read(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_PROFILE", "maps")
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text(
        "[maps]\naws_access_key_id = a\naws_secret_access_key = b%c\n"
    )
    (tmp_path / ".aws" / "config").write_text("[profile maps]\nregion = eu-central-1\n")
    assert not EmbeddingTable.exists(address)
    monkeypatch.setenv("AWS_PROFILE", "other")
    with pytest.raises(TableError, match="no credentials"):
        EmbeddingTable.exists(address)
