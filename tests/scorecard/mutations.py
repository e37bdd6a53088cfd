"""Seeded mutations: of JSON by its tree, of bytes, and of what a file says of itself."""

from __future__ import annotations

import copy
import random
from typing import Any

ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, 2**63, 2**70, -(2**70), 0.5, -0.0, 1e308, float("nan"), float("inf"),
    "", " ", "x", "..", "/", "../../etc/hostname", "\x00", "\x1b[31m", "é" * 300, "9" * 400, "1e999",
    [], {}, [None], [[]], {"": None}, {"type": "x"}, [0] * 50, [[[[[[[]]]]]]], "2020-01-01", "EPSG:4326",
)  # fmt: skip
DEEP: list[Any] = []
for _ in range(200):
    DEEP = [DEEP]


def mutated(document: Any, rng: random.Random) -> Any:
    """A copy with one to three of its members changed, removed, doubled, renamed or swapped."""
    changed = copy.deepcopy(document)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        changed = _mutate(changed, rng)
    return changed


def _mutate(document: Any, rng: random.Random) -> Any:
    holders = _holders(document)
    if not holders:
        return _odd(document, rng)
    holder = rng.choice(holders)
    if isinstance(holder, dict):
        key = rng.choice(list(holder))
        match rng.randrange(6):
            case 0:
                del holder[key]
            case 1:
                holder[_odd_name(key, rng)] = holder.pop(key)
            case 2:
                other = rng.choice(list(holder))
                holder[key], holder[other] = holder[other], holder[key]
            case _:
                holder[key] = _odd(holder[key], rng)
        return document
    at = rng.randrange(len(holder))
    match rng.randrange(5):
        case 0:
            del holder[at]
        case 1:
            holder.insert(at, copy.deepcopy(holder[at]))
        case _:
            holder[at] = _odd(holder[at], rng)
    return document


def _holders(document: Any) -> list[Any]:
    """All objects and lists that hold something."""
    found = [document] if isinstance(document, dict | list) and document else []
    members = (
        document.values() if isinstance(document, dict) else document if isinstance(document, list) else ()
    )
    for member in members:
        found += _holders(member)
    return found


def _odd(value: Any, rng: random.Random) -> Any:
    """Something near a value, or far from it."""
    near: list[Any] = [value]
    if isinstance(value, bool):
        near = [not value, int(value), str(value)]
    elif isinstance(value, int | float):
        near = [value + 1, value - 1, -value, value * 1000, str(value), [value], value / 3]
    elif isinstance(value, str):
        near = [value + "x", value[:-1], value[::-1], value.upper(), value * 3, [value], {"href": value}]
    elif isinstance(value, list):
        near = [value[:-1], value * 2, value[::-1], {"0": value}, [value], str(value), tuple(value[:1])]
    elif isinstance(value, dict):
        near = [list(value.items()), list(value), {**value, "more": 1}, [value], str(value)]
    return rng.choice(near) if rng.random() < 0.5 else copy.deepcopy(rng.choice((*ODD, DEEP)))


def _odd_name(name: str, rng: random.Random) -> str:
    return rng.choice((name.upper(), name + "s", "", "x" * 300, f"{name}\x00", "__class__", "href"))


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Bytes flipped, cut, put in, repeated or zeroed."""
    if not content:
        return b"\x00"
    at, length = rng.randrange(len(content)), rng.choice((1, 1, 1, 4, 64, 5000))
    match rng.randrange(6):
        case 0:
            return content[:at]
        case 1:
            return content[:at] + rng.randbytes(length) + content[at:]
        case 2:
            return content[:at] + bytes(min(length, len(content) - at)) + content[at + length :]
        case 3:
            return content[:at] + content[max(at - length, 0) :]
        case _:
            return content[:at] + bytes([content[at] ^ rng.randrange(1, 256)]) + content[at + 1 :]
