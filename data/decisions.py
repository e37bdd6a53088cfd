"""What was decided of each collection's scenes, and why, in words."""

from collections import Counter, defaultdict
from collections.abc import Iterable

from .scene import Scene


def decisions(scenes: Iterable[Scene]) -> list[str]:
    """A line a collection and dialect, and below it one a decision, with the number of scenes."""
    groups: dict[tuple[str, str, str], list[Scene]] = defaultdict(list)
    for scene in scenes:
        groups[scene.collection or "no collection", scene.provider, scene.modality].append(scene)
    lines: list[str] = []
    for (collection, provider, modality), members in sorted(groups.items()):
        lines.append(f"{collection} ({provider}): {_count(members)} {modality}")
        said = Counter(decision for scene in members for decision in scene.decisions)
        lines += [f"  {text}{_part(n, len(members))}" for text, n in said.items()]
    return lines


def _count(scenes: list[Scene]) -> str:
    return f"{len(scenes):,} scene{'s' if len(scenes) > 1 else ''} of"


def _part(count: int, of: int) -> str:
    return "" if count == of else f" ({count:,} of {of:,})"
