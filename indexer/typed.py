"""JSON from outside as dataclasses: each field is what its annotation says, or an error names it."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import lru_cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")
WHOLE = range(-(2**63), 2**64)  # what 64 bits hold, with a sign or without


class OddFieldError(ValueError):
    """A field is missing or of another type; says where, what came and what was expected."""


def typed(kind: type[T], value: object, where: str = "the document") -> T:
    """A JSON value as a dataclass; fields that it does not know are left out, as later versions may add some.

    Annotations may be dataclasses, literals, str, bool, int, float (finite), Any, tuples (from lists),
    mappings with text for keys, and unions of these.

    Raises:
        OddFieldError: a field is missing or of another type.
    """
    made: T = _typed(kind, value, where)
    return made


def _typed(kind: Any, value: Any, where: str) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if is_dataclass(kind) and isinstance(value, dict):
        return _dataclass(kind, value, where)
    if origin is Literal and value in inner:
        return value
    if origin in (Union, types.UnionType):
        return _union(inner, value, where)
    if origin is tuple and isinstance(value, list):
        return _tuple(inner, value, where)
    if origin is Mapping and isinstance(value, dict):
        return {name: _typed(inner[1], member, f"{where}.{name:.40}") for name, member in value.items()}
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        if math.isfinite(value):
            return float(value)
    elif kind is int and isinstance(value, int) and not isinstance(value, bool):
        if value in WHOLE:
            return value
    elif kind in (str, bool, type(None)) and isinstance(value, kind):
        return value
    raise OddFieldError(f"{where} is {value!r:.60}, expected {_named(kind)}")


def _dataclass(kind: Any, value: Mapping[str, Any], where: str) -> Any:
    parsed = {}
    for name, annotation, is_needed in _fields(kind):
        if name in value:
            parsed[name] = _typed(annotation, value[name], f"{where}.{name}")
        elif is_needed:
            raise OddFieldError(f"{where} has no field {name}")
    return kind(**parsed)


def _union(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    *others, last = (kind for kind in kinds if kind is not type(None))
    for kind in others:
        try:
            return _typed(kind, value, where)
        except OddFieldError:
            continue
    return _typed(last, value, where)


def _tuple(kinds: tuple[Any, ...], value: list[Any], where: str) -> tuple[Any, ...]:
    if kinds[-1] is Ellipsis:
        kinds = kinds[:1] * len(value)
    if len(kinds) != len(value):
        raise OddFieldError(f"{where} has {len(value)} members, expected {len(kinds)}")
    members = zip(kinds, value, strict=True)
    return tuple(_typed(kind, member, f"{where}[{i}]") for i, (kind, member) in enumerate(members))


@lru_cache
def _fields(kind: type) -> tuple[tuple[str, Any, bool], ...]:
    """Names, annotations, and whether there is no default."""
    hints = get_type_hints(kind)
    return tuple(
        (f.name, hints[f.name], f.default is MISSING and f.default_factory is MISSING) for f in fields(kind)
    )


def _named(kind: Any) -> str:
    return getattr(kind, "__name__", str(kind)) if get_origin(kind) is None else str(kind)
