"""A check of what pip cannot refuse: two packages that overwrite each other."""

from importlib.metadata import PackageNotFoundError, version


class InstallationError(RuntimeError):
    """The installed packages cannot work together; says what to do."""


def check_faiss() -> None:
    """Refuse to run when faiss-cpu and faiss-gpu are both installed, or neither.

    Both write the same folder, so whichever came last wins, silently and in part.

    Raises:
        InstallationError: both or neither are there.
    """
    installed = [name for name in ("faiss-cpu", "faiss-gpu") if _installed(name)]
    if len(installed) == 2:
        raise InstallationError(
            "faiss-cpu and faiss-gpu are both installed and overwrite each other's files; expected one. "
            "Run `pip uninstall -y faiss-cpu faiss-gpu`, then install skyhex with [cpu] or [gpu]"
        )
    if not installed:
        raise InstallationError(
            "FAISS is not installed; install skyhex with one extra: "
            '`pip install -c constraints.txt -e ".[cpu,app]"`.'
        )


def _installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True
