"""When the service does not start, and what it says."""

from pathlib import Path

import pytest

from search_app.serve.__main__ import ServeError, check_host, read_token


@pytest.mark.parametrize(
    ("host", "token", "encrypted", "insecure", "said"),
    [
        ("0.0.0.0", None, True, True, "give a token with --token-file"),
        ("maps.example", "t" * 16, False, False, "or say --insecure-http"),
        ("maps.example", "t" * 16, True, False, None),
        ("maps.example", "t" * 16, False, True, None),
        ("127.0.0.1", None, False, False, None),
        ("::1", None, False, False, None),
    ],
)
def test_others_are_served_with_a_token_and_encrypted(
    host: str, token: str | None, encrypted: bool, insecure: bool, said: str | None
) -> None:
    if said is None:
        check_host(host, token, encrypted=encrypted, insecure=insecure)
        return
    with pytest.raises(ServeError, match=said):
        check_host(host, token, encrypted=encrypted, insecure=insecure)


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        ("short", 0o600, "holds no token"),
        ("a" * 20, 0o644, "chmod 600"),
        ("two words of one", 0o600, "one"),
    ],
)
def test_a_token_file(tmp_path: Path, text: str, mode: int, said: str) -> None:
    file = tmp_path / "token"
    file.write_text(text)
    file.chmod(mode)
    with pytest.raises(ServeError, match=said):
        read_token(file)
    with pytest.raises(ServeError, match="cannot be read"):
        read_token(tmp_path / "nothing")
