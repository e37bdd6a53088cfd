"""A file that lies elsewhere, read by byte ranges: what GDAL opens, and whole documents.

GDAL asks for ranges and this module fetches them, since GDAL 3.10's own reader of the web keeps a failure for
the life of the process, follows any redirect, and does not tell a host that is silent from a damaged file.
"""

import multiprocessing
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Protocol

from .access import BUCKETS, REMOTE, Access, UnreachableError, unsigned
from .bucket import BucketSource
from .sample import InputError
from .web import DOCUMENT_BYTES, Answer, Question, ask

BLOCK = 2**15  # bytes that are fetched and kept together
FIRST = 2**16  # bytes of the first request: a header with its tables of tiles
LONGEST_AHEAD = 2**20  # what is fetched at once of a file that is read in order
KEPT_BYTES = 2**22  # of one file
GAP = 2**16  # ranges that lie closer than this are fetched as one
LONGEST_RANGE = 2**23
WHOLE_BYTES = 2**29  # of a file on a server that knows no ranges, at most


class Source(Protocol):
    """Byte ranges of one file."""

    def size(self) -> int: ...

    def get(self, start: int, stop: int) -> bytes: ...


class WebSource:
    """Byte ranges of a file on a web server, signed by the job's hook and again when that is refused."""

    def __init__(self, href: str, access: Access) -> None:
        self.href, self._access = href, access
        self._at: str | None = None  # signed, and where redirects led
        self._size: int | None = None
        self._version: str | None = None
        self._whole: bytes | None = None
        self._lock = threading.Lock()

    def size(self) -> int:
        if self._size is None:
            self.get(0, 1)
        assert self._size is not None
        return self._size

    def get(self, start: int, stop: int) -> bytes:
        """Raises InputError where the file is missing, UnreachableError where it cannot be read now."""
        if self._whole is not None:
            return self._whole[start:stop]
        answer = self._asked(start, stop)
        if answer.status == 200:  # a server that knows no ranges
            self._whole, self._size = answer.content, len(answer.content)
            return self._whole[start:stop]
        self._check_version(answer)
        return answer.content

    def _asked(self, start: int, stop: int) -> Answer:
        for _ in range(2):
            answer = ask(self._question(start, stop), self._access)
            if not self._is_refusal(answer):
                break
            with self._lock:
                self._at = None  # the signature has run out: sign again
        if answer.status in (200, 206):
            _refuse_page(self.href, answer)
            self._at = answer.href
            return answer
        if self._is_refusal(answer):
            raise UnreachableError(
                f"{unsigned(self.href)} is refused (HTTP {answer.status}): it needs credentials or a"
                " signature (--sign), or its signature has run out"
            )
        what = "no such file" if answer.status in (404, 410) else f"HTTP {answer.status} for"
        raise InputError(f"{what}: {unsigned(self.href)}")

    def _is_refusal(self, answer: Answer) -> bool:
        """Amazon calls a token that has run out a bad request."""
        is_signed = self._access.sign is not None or unsigned(self.href) != self.href
        return answer.status in (401, 403) or (answer.status == 400 and is_signed)

    def _question(self, start: int, stop: int) -> Question:
        with self._lock:
            at = self._at = self._at or _signed(self.href, self._access)

        def whole(answer: Answer) -> bool:
            first, last, size = _content_range(answer)
            expected = min(stop, size) - start
            return answer.status != 206 or (
                first == start and last - first + 1 == len(answer.content) == expected
            )

        headers = {"Range": f"bytes={start}-{stop - 1}"}
        return Question(at, headers=headers, limit_bytes=max(WHOLE_BYTES, stop - start), whole=whole)

    def _check_version(self, answer: Answer) -> None:
        version = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
        size = _content_range(answer)[2]
        if self._size is None:
            self._size, self._version = size, version
        elif (size, version) != (self._size, self._version):
            raise UnreachableError(f"{unsigned(self.href)} changed while it was read")


def _refuse_page(href: str, answer: Answer) -> None:
    """A page to be read by people in place of a file: a login, a portal. It says nothing about the file."""
    if answer.headers.get("Content-Type", "").lower().startswith("text/html"):
        raise UnreachableError(
            f"{unsigned(href)} answers with a web page in place of a file: is a login needed?"
        )


def _signed(href: str, access: Access) -> str:
    """As the job's hook signs it; a hook has a host to ask, and no longer to answer than any other."""
    if access.sign is None:
        return href
    try:
        return _signers(os.getpid()).apply_async(access.sign, (unsigned(href),)).get(access.wait_s)
    except (OSError, multiprocessing.TimeoutError) as error:  # the former of requests, too
        raise UnreachableError(f"{unsigned(href)} cannot be signed now ({type(error).__name__})") from error


def _content_range(answer: Answer) -> tuple[int, int, int]:
    """(first, last, size) of `bytes 0-99/1234`."""
    text = answer.headers.get("Content-Range", "").removeprefix("bytes ")
    span, _, size = text.partition("/")
    first, _, last = span.partition("-")
    if not (first.isdigit() and last.isdigit() and size.isdigit()):
        return 0, len(answer.content) - 1, len(answer.content)
    return int(first), int(last), int(size)


def source_of(href: str, access: Access) -> Source:
    return BucketSource(href, access) if href.startswith(BUCKETS) else WebSource(href, access)


def read_document(href: str, access: Access) -> bytes:
    """The whole of a document: a catalog, an item. Raises InputError, UnreachableError, OSError."""
    access.check(href)
    if href.startswith(BUCKETS):
        source = source_of(href, access)
        return source.get(0, _bounded(href, source.size()))
    if not href.startswith(REMOTE):
        _bounded(href, Path(href).stat().st_size)
        return Path(href).read_bytes()
    answer = ask(Question(href), access)
    if answer.status in (401, 403):
        raise UnreachableError(f"{unsigned(href)} is refused (HTTP {answer.status}): it needs credentials")
    if answer.status != 200:
        raise InputError(f"cannot read {unsigned(href)}: HTTP {answer.status}")
    _refuse_page(href, answer)
    return answer.content


def _bounded(href: str, size: int) -> int:
    if size > DOCUMENT_BYTES:
        raise InputError(
            f"{href} has {size / 1e6:,.0f} MB; a document has {DOCUMENT_BYTES / 1e6:,.0f} at most"
        )
    return size


class RemoteFile:
    """One file; its header and latest parts are kept. After a fetch that failed it gives nothing: `fault`."""

    def __init__(self, href: str, access: Access) -> None:
        self._source, self._connections = source_of(href, access), access.connections
        self._blocks: dict[int, bytes] = {}  # by number, oldest first; number 0 is kept always
        self._next = 0  # where reading in order would go on
        self._ahead = BLOCK
        self.fault: ValueError | None = None
        self.head = self._read(0, FIRST)  # raises: the file is missing, or cannot be reached

    def size(self) -> int:
        return self._source.size()

    def read(self, start: int, count: int) -> bytes:
        """Bytes from `start`, fewer at the end of the file; none once a fetch has failed."""
        if self.fault is None:
            try:
                return self._read(start, count)
            except (InputError, UnreachableError) as error:
                self.fault = error
        return b""

    def read_ranges(self, starts: Sequence[int], counts: Sequence[int]) -> list[bytes]:
        """Several parts at once, neighbours in one request; zeros once a fetch has failed."""
        spans = list(zip(starts, counts, strict=True))
        if self.fault is None:
            try:
                held = [((0, len(self.head)), self.head), *self._fetched(spans)]
                return [_cut(held, start, count) for start, count in spans]
            except (InputError, UnreachableError) as error:
                self.fault = error
        return [bytes(count) for count in counts]

    def _fetched(self, spans: Sequence[tuple[int, int]]) -> list[tuple[tuple[int, int], bytes]]:
        """What the head does not hold of some (start, count): parts by (start, stop)."""
        wanted = _joined([span for span in spans if sum(span) > len(self.head)])
        if len(wanted) < 2:
            return [(span, self._source.get(*span)) for span in wanted]
        parts = _fetchers(self._connections, os.getpid()).map(lambda span: self._source.get(*span), wanted)
        return list(zip(wanted, parts, strict=True))

    def _read(self, start: int, count: int) -> bytes:
        stop = start + count if not self._blocks else min(start + count, self._source.size())
        if stop <= start:
            return b""
        wanted = range(start // BLOCK, -(-stop // BLOCK))
        missing = [number for number in wanted if number not in self._blocks]
        blocks = {number: self._blocks[number] for number in wanted if number in self._blocks}
        if missing:
            in_order = start == self._next
            self._ahead = min(2 * self._ahead, LONGEST_AHEAD) if in_order else BLOCK
            blocks |= self._fetch(missing[0], max(missing[-1] + 1, missing[0] + self._ahead // BLOCK))
        self._next = stop
        held = b"".join(blocks[number] for number in sorted(blocks))
        offset = start - min(blocks) * BLOCK
        return held[offset : offset + stop - start]

    def _fetch(self, first: int, last: int) -> dict[int, bytes]:
        start, stop = first * BLOCK, last * BLOCK
        if self._blocks:
            stop = min(stop, self._source.size())
        content = self._source.get(start, stop)
        fresh = {first + i: content[i * BLOCK : (i + 1) * BLOCK] for i in range(-(-len(content) // BLOCK))}
        self._blocks |= fresh
        while len(self._blocks) * BLOCK > KEPT_BYTES:
            oldest = next(number for number in self._blocks if number)
            del self._blocks[oldest]
        return fresh


def _joined(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """(start, stop) of fewer, longer ranges that hold the given (start, count)."""
    joined: list[tuple[int, int]] = []
    for start, count in sorted(spans):
        stop = start + count
        if joined and start - joined[-1][1] <= GAP and stop - joined[-1][0] <= LONGEST_RANGE:
            joined[-1] = joined[-1][0], max(joined[-1][1], stop)
        else:
            joined.append((start, stop))
    return joined


def _cut(held: Sequence[tuple[tuple[int, int], bytes]], start: int, count: int) -> bytes:
    first, content = next(
        (span[0], content) for span, content in held if span[0] <= start and start + count <= span[1]
    )
    part = content[start - first : start - first + count]
    if len(part) < count:
        raise InputError("the file ends before its pixels do")
    return part


@lru_cache(maxsize=1)
def _signers(process: int) -> ThreadPool:
    """Threads that do not keep the process from ending, whatever they wait for."""
    return ThreadPool(4)


@lru_cache(maxsize=2)
def _fetchers(connections: int, process: int) -> ThreadPoolExecutor:
    """Threads belong to one process: hence the key."""
    return ThreadPoolExecutor(connections, thread_name_prefix="fetch")
