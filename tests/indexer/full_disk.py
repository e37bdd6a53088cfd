"""What a full disk looks like, for tests."""

import resource
from collections.abc import Callable


def with_file_size_limit(size: int, work: Callable[[], object]) -> None:
    """Writes beyond `size` bytes of a file fail while `work` is done."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        work()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
