"""How a bucket is reached: addresses, credentials, patience, and what to do when it refuses.

Credentials come from the environment (AWS_*, GOOGLE_*, AZURE_*), from a profile of ~/.aws, or from the
machine's own role. Nothing is read from a table's address but its bucket and path.
"""

import configparser
import os
import re
import socket
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from obstore.exceptions import (
    GenericError,
    InvalidPathError,
    NotFoundError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import AzureStore, GCSStore, S3Store

from ..errors import TableError

SCHEMES = ("s3", "gs", "az")
CREDENTIALS = {  # the variables that say who asks
    "s3": (
        "AWS_ACCESS_KEY_ID",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_SKIP_SIGNATURE",
    ),
    "gs": (
        "GOOGLE_APPLICATION_CREDENTIALS",
        "GOOGLE_SERVICE_ACCOUNT",
        "GOOGLE_SERVICE_ACCOUNT_KEY",
        "GOOGLE_SKIP_SIGNATURE",
    ),
    "az": ("AZURE_STORAGE_ACCOUNT_NAME",),
    "http": ("SKYHEX_TOKEN",),
    "https": ("SKYHEX_TOKEN",),
}
ENDPOINTS = {  # the variables that name another server
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}
ALLOW_HTTP = {"s3": "AWS_ALLOW_HTTP", "az": "AZURE_ALLOW_HTTP"}
NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "bucket does not exist")
OTHER_REGION = ("PermanentRedirect", "AuthorizationHeaderMalformed", "redirect without")
REFUSED = ("403 Forbidden", "401 Unauthorized", "AccessDenied", "InvalidAccessKey")
PLAIN = ("BadScheme",)
NO = re.compile(r"status code: 4(?!08|09|29)")  # but for late, two at once, and too many
METADATA_SERVICE = ("169.254.169.254", 80)  # of a machine at Amazon: gives its role's credentials
GOOGLE_METADATA = ("metadata.google.internal", 80)
GOOGLE_DEFAULT = Path("~/.config/gcloud/application_default_credentials.json")
RETRIES = {
    "max_retries": 8,
    "retry_timeout": timedelta(seconds=60),
    "backoff": {
        "init_backoff": timedelta(milliseconds=100),
        "max_backoff": timedelta(seconds=5),
        "base": 2,
    },
}
WAITS = {"connect_timeout": "10s", "read_timeout": "30s", "timeout": "15min"}


def is_address(path: str | Path) -> bool:
    """Whether a table's place is an address, not a folder of this disk."""
    return "://" in str(path)


def is_served(place: object) -> bool:
    """Whether a table's place is a server."""
    return isinstance(place, str) and place.startswith(("http://", "https://"))


def check_private(url: str, token: str | None) -> None:
    """Raises TableError where a token would be read by others on its way."""
    plain = urlsplit(url).scheme == "http" and not _is_here(url)
    if token and plain and not os.environ.get("SKYHEX_INSECURE_HTTP"):
        raise TableError(
            f"{url} would get the token unencrypted: use https, or set SKYHEX_INSECURE_HTTP=1 if you mean it"
        )


def store_of(address: str) -> Any:
    """The objects below an address. Raises TableError."""
    parts = urlsplit(address)
    if parts.scheme not in SCHEMES or not parts.netloc:
        raise TableError(
            f"{address} is no place of a table: expected a folder, "
            f"{', '.join(f'{scheme}://BUCKET/PATH' for scheme in SCHEMES)}, or https://HOST of `skyhex serve`"
        )
    options: dict[str, Any] = {"client_options": dict(WAITS), "retry_config": RETRIES}
    options["prefix"] = parts.path.strip("/") or None
    if parts.scheme == "s3":
        return S3Store(parts.netloc, **_with_amazon(options))
    _check_named(parts.scheme)
    options["client_options"]["allow_http"] = _may_be_plain(parts.scheme, endpoint(parts.scheme))
    try:
        return {"gs": GCSStore, "az": AzureStore}[parts.scheme](parts.netloc, **options)
    except GenericError as error:
        said = str(error).splitlines()[0]
        raise TableError(f"credentials for {parts.scheme}:// cannot be used: {said}") from error


def endpoint(scheme: str) -> str:
    """The server that a scheme means; empty: its provider's own."""
    return next((os.environ[name] for name in ENDPOINTS.get(scheme, ()) if os.environ.get(name)), "")


def advice(error: Exception, address: str) -> str:
    """What went wrong in a bucket, in one line, and what to do."""
    text = str(error)
    parts = urlsplit(address)
    for words, what in (
        (NO_BUCKET, f"there is no bucket {parts.netloc}: make it, or correct its name"),
        (OTHER_REGION, f"the bucket {parts.netloc} lies in another region: set AWS_REGION to it"),
        (
            REFUSED,
            f"access is refused: check {CREDENTIALS[parts.scheme][0]} and the rights that come with it",
        ),
        (
            PLAIN,
            "this server would be asked without encryption: set "
            f"{ALLOW_HTTP.get(parts.scheme)}=true if that is meant",
        ),
    ):
        if any(word in text for word in words):
            return what
    return text.strip().split("\n")[0]


def is_final(error: Exception) -> bool:
    """Whether the same request would fail again: the store said no, or it was tried often enough."""
    final = (NotFoundError, FileNotFoundError, PermissionDeniedError, UnauthenticatedError, InvalidPathError)
    text = str(error)
    return isinstance(error, final) or ("after" in text and "retries" in text) or bool(NO.search(text))


def _with_amazon(options: dict[str, Any]) -> dict[str, Any]:
    server = endpoint("s3")
    if server:
        options["endpoint"] = server
        options["client_options"]["allow_http"] = _may_be_plain("s3", server)
    profile = {} if any(map(os.environ.get, CREDENTIALS["s3"])) else _profile()
    if not profile and not any(map(os.environ.get, CREDENTIALS["s3"])) and not _machine_has_role():
        raise TableError(
            "no credentials for s3://: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, "
            "or for a public bucket AWS_SKIP_SIGNATURE=true"
        )
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or profile.pop("region", "")
    return options | profile | {"region": region or "us-east-1"}


def _check_named(scheme: str) -> None:
    """Raises TableError where nothing says who asks Google's or Azure's store."""
    if any(map(os.environ.get, CREDENTIALS[scheme])):
        return
    if scheme == "gs" and (GOOGLE_DEFAULT.expanduser().exists() or _answers(GOOGLE_METADATA)):
        return
    raise TableError(f"no credentials for {scheme}://: set {' or '.join(CREDENTIALS[scheme])}")


def _may_be_plain(scheme: str, server: str) -> bool:
    """Whether a server is spoken to over plain http: one of this machine, or by the user's word."""
    return os.environ.get(ALLOW_HTTP.get(scheme, ""), "").lower() in ("true", "1") or _is_here(server)


def _is_here(server: str) -> bool:
    """Whether an address is one of this machine."""
    host = urlsplit(server).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _profile() -> dict[str, str]:
    """What ~/.aws says of the profile that is meant; only keys that are written down there are used."""
    name = os.environ.get("AWS_PROFILE", "default")
    files = {
        os.environ.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"): name,
        os.environ.get("AWS_CONFIG_FILE", "~/.aws/config"): name if name == "default" else f"profile {name}",
    }
    settings: dict[str, str] = {}
    for file, section in files.items():
        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read(Path(file).expanduser())
        except configparser.Error as error:
            raise TableError(f"{file} cannot be read ({str(error).splitlines()[0]}): correct it") from error
        settings |= dict(parser[section]) if section in parser else {}
    names = {
        "aws_access_key_id": "access_key_id",
        "aws_secret_access_key": "secret_access_key",
        "aws_session_token": "session_token",
        "region": "region",
    }
    given = {names[key]: value for key, value in settings.items() if key in names}
    return given if "access_key_id" in given else {}


def _machine_has_role() -> bool:
    if os.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        return False
    return _answers(METADATA_SERVICE)


def _answers(service: tuple[str, int]) -> bool:
    try:
        socket.create_connection(service, timeout=1.0).close()
    except OSError:
        return False
    return True
