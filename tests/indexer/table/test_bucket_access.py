"""Who may be asked without encryption, and what an answer that refuses means."""

from pathlib import Path

import pytest

from indexer.errors import QueryError, TableError
from indexer.search.served_table import ServedTable, _refusal
from indexer.table import bucket_access
from indexer.table.bucket_access import (
    ALLOW_HTTP,
    CREDENTIALS,
    GOOGLE_METADATA,
    _check_named,
    _may_be_plain,
    _profile,
    check_private,
)

FAR = ("http://example.org", "http://10.0.0.1:8000", "http://localhost.example.org")
HERE = ("http://localhost:8000", "http://127.0.0.1", "http://127.9.9.9:1", "http://[::1]:8000")


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SKYHEX_INSECURE_HTTP", "SKYHEX_TOKEN", *ALLOW_HTTP.values()):
        monkeypatch.delenv(name, raising=False)


def test_a_token_goes_unencrypted_to_this_machine_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for url in (*HERE, "https://example.org"):
        check_private(url, "secret")
    for url in FAR:
        check_private(url, None)
        with pytest.raises(TableError, match="would get the token unencrypted"):
            check_private(url, "secret")
    monkeypatch.setenv("SKYHEX_TOKEN", "secret")
    with pytest.raises(TableError, match="would get the token unencrypted"):
        ServedTable(FAR[0])
    monkeypatch.setenv("SKYHEX_INSECURE_HTTP", "1")
    check_private(FAR[0], "secret")


@pytest.mark.parametrize("scheme", ["s3", "az"])
def test_a_bucket_is_asked_over_http_on_this_machine_or_where_the_user_says_so(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [_may_be_plain(scheme, server) for server in (*FAR, *HERE)] == [False] * 3 + [True] * 4
    for said, plain in (("false", False), ("0", False), ("TRUE", True), ("1", True)):
        monkeypatch.setenv(ALLOW_HTTP[scheme], said)
        assert _may_be_plain(scheme, FAR[0]) is plain


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_service_that_finds_a_question_wrong_says_why(status: int) -> None:
    error = _refusal("http://here", status, b'{"error": "k = 0"}')
    assert isinstance(error, QueryError)
    assert str(error) == "k = 0"


def test_a_service_that_refuses_is_an_error_of_the_table() -> None:
    for status, said in (
        (401, "http://here refuses: who?: set SKYHEX_TOKEN"),
        (503, "http://here refuses: who?"),
    ):
        error = _refusal("http://here", status, b'{"error": "who?"}')
        assert isinstance(error, TableError)
        assert str(error) == said
    assert str(_refusal("http://here", 502, b"<html>")) == "http://here refuses: status 502"


def test_a_store_of_google_or_microsoft_is_asked_by_somebody_who_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in (*CREDENTIALS["gs"], *CREDENTIALS["az"]):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(bucket_access, "GOOGLE_DEFAULT", tmp_path / "login.json")
    monkeypatch.setattr(bucket_access, "_answers", lambda service: False)
    for scheme in ("gs", "az"):
        with pytest.raises(TableError, match=f"no credentials for {scheme}://: set {CREDENTIALS[scheme][0]}"):
            _check_named(scheme)
    (tmp_path / "login.json").touch()
    _check_named("gs")
    with pytest.raises(TableError, match="no credentials for az"):
        _check_named("az")
    (tmp_path / "login.json").unlink()
    monkeypatch.setattr(bucket_access, "_answers", lambda service: service == GOOGLE_METADATA)
    _check_named("gs")
    for scheme in ("gs", "az"):
        monkeypatch.setenv(CREDENTIALS[scheme][-1], "said")
        _check_named(scheme)


@pytest.mark.parametrize(("profile", "section"), [(None, "default"), ("maps", "profile maps")])
def test_a_profile_has_its_keys_in_one_file_and_its_region_in_another(
    profile: str | None, section: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    if profile:
        monkeypatch.setenv("AWS_PROFILE", profile)
    keys, config = tmp_path / "credentials", tmp_path / "config"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(keys))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    config.write_text(f"[{section}]\nregion = eu-west-1\noutput = json\n[profile other]\nregion = mars\n")
    assert _profile() == {}, "a region is no key"
    keys.write_text(f"[{profile or 'default'}]\naws_access_key_id = ours\naws_secret_access_key = secret\n")
    assert _profile() == {"access_key_id": "ours", "secret_access_key": "secret", "region": "eu-west-1"}
    keys.write_text("no section")
    with pytest.raises(TableError, match=r"credentials cannot be read .*: correct it"):
        _profile()
