"""Objects in S3, Google's and Azure's stores, with credentials from the environment alone, or none."""

import os
from datetime import timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError, NotFoundError, PermissionDeniedError, UnauthenticatedError
from obstore.store import AzureStore, GCSStore, S3Store

from .access import Access, UnreachableError
from .sample import InputError
from .web import CONNECT_S, FIRST_PAUSE_S, LONGEST_PAUSE_S, Question, ask, count

# Buckets that lie elsewhere than at Amazon: documentation.dataspace.copernicus.eu, APIs, S3.
_ENDPOINTS = {"eodata": "https://eodata.dataspace.copernicus.eu"}
_CREDENTIALS = {
    "s3": ("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
    "gs": ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_KEY"),
    "az": ("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_KEY", "AZURE_CLIENT_ID", "AZURE_STORAGE_TOKEN"),
}


class BucketSource:
    """Byte ranges of one object."""

    def __init__(self, href: str, access: Access) -> None:
        self.href = href
        parts = urlsplit(href)
        self._store = _store(parts.scheme, parts.netloc, access, os.getpid())
        self._path = unquote(parts.path.lstrip("/"))
        self._size: int | None = None

    def size(self) -> int:
        if self._size is None:
            self._size = int(self._asked(obstore.head, self._store, self._path)["size"])
        return self._size

    def get(self, start: int, stop: int) -> bytes:
        """Raises InputError where the object is missing, UnreachableError where it cannot be read now."""
        content = bytes(self._asked(obstore.get_range, self._store, self._path, start=start, end=stop))
        count("bytes", len(content))
        return content

    def _asked(self, request: Any, *args: Any, **options: Any) -> Any:
        count("requests", 1)
        try:
            return request(*args, **options)
        except (NotFoundError, FileNotFoundError) as error:
            raise InputError(f"no such object: {self.href}") from error
        except (PermissionDeniedError, UnauthenticatedError) as error:
            scheme = self.href.partition(":")[0]
            raise UnreachableError(
                f"{self.href} is refused: it needs credentials in the environment"
                f" ({', '.join(_CREDENTIALS[scheme])}; a bucket whose reader pays: --requester-pays)"
            ) from error
        except BaseError as error:
            raise UnreachableError(f"{self.href} cannot be read now ({type(error).__name__})") from error


def patience(access: Access) -> dict[str, Any]:
    """How long a store of obstore waits, and how often it asks."""
    return {
        "client_options": {
            "timeout": f"{access.wait_s:g}s",
            "connect_timeout": f"{min(CONNECT_S, access.wait_s):g}s",
        },
        "retry_config": {
            "max_retries": access.tries - 1,
            "retry_timeout": timedelta(seconds=access.wait_s),
            "backoff": {
                "init_backoff": timedelta(seconds=FIRST_PAUSE_S),
                "max_backoff": timedelta(seconds=LONGEST_PAUSE_S),
                "base": 2,
            },
        },
    }


@lru_cache(maxsize=64)
def _store(scheme: str, bucket: str, access: Access, process: int) -> Any:
    options = patience(access)
    if not any(os.environ.get(name) for name in _CREDENTIALS[scheme]):
        options["skip_signature"] = True
    if scheme == "s3":
        return S3Store(bucket, **_with_s3_place(bucket, options, access))
    if scheme == "gs":
        return GCSStore(bucket, **options)
    return AzureStore(bucket, **options)


def _with_s3_place(bucket: str, options: dict[str, Any], access: Access) -> dict[str, Any]:
    endpoint = (
        os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("AWS_S3_ENDPOINT") or _ENDPOINTS.get(bucket)
    )
    if access.requester_pays:
        options["request_payer"] = True
    if endpoint:
        options["endpoint"] = endpoint if "://" in endpoint else f"https://{endpoint}"
        options["client_options"]["allow_http"] = options["endpoint"].startswith("http://")
        return options | {"region": os.environ.get("AWS_REGION", "default")}
    named = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    return options | {"region": named or _region(bucket, access)}


def _region(bucket: str, access: Access) -> str:
    """Where Amazon keeps a bucket; it says so to everyone, whether they may read it or not."""
    answer = ask(Question(f"https://{bucket}.s3.amazonaws.com/", "HEAD"), access)
    return answer.headers.get("x-amz-bucket-region", "us-east-1")
