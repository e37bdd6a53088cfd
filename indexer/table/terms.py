"""Under what terms rows may be used: those of the model, of each imported source, of the imagery.

A table whose rows are all under one licence says it once. Where rows of another licence come, every row says
its own in the column LICENCE, and files and exports say what holds for the rows in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa

from .schema import LICENCE, ModelInfo, model_of

MOST_NAMED = 50  # sources of a licence that a table names: a product may come in ten thousands of files
BOTH = " AND "  # of what is made of two sources, as SPDX writes it
OTHER = "other"


@dataclass(frozen=True)
class Terms:
    """A licence, and what it came with."""

    licence: str  # SPDX identifier, or "other"
    attribution: tuple[str, ...] = ()  # sentences to give
    sources: tuple[str, ...] = ()  # files and products, the first MOST_NAMED in order of name


def joined_terms(first: Iterable[Terms], second: Iterable[Terms]) -> tuple[Terms, ...]:
    """Both, one a licence; nothing that either says is lost, but for names beyond MOST_NAMED."""
    by_licence: dict[str, Terms] = {}
    for one in (*first, *second):
        before = by_licence.get(one.licence, Terms(one.licence))
        attribution = tuple(sorted({*before.attribution, *one.attribution}))
        sources = tuple(sorted({*before.sources, *one.sources})[:MOST_NAMED])
        by_licence[one.licence] = Terms(one.licence, attribution, sources)
    return tuple(by_licence[licence] for licence in sorted(by_licence))


def terms_of_model(model: ModelInfo, source: str | None = None) -> Terms:
    """What a model's vectors come with."""
    said = model.config.get("attribution")
    return Terms(model.licence, (str(said),) if said else (), (source or model.name,))


def terms_of_rows(rows: pa.Table, source: str | None) -> tuple[Terms, ...]:
    """What new rows come with: of their model, or each row's own."""
    of_model = terms_of_model(model_of(rows.schema), source)
    return tuple(
        Terms(licence, of_model.attribution, of_model.sources)
        for licence in licences_of(rows, of_model.licence)
    )


def licences_of(rows: pa.Table | pa.RecordBatch, of_model: str) -> list[str]:
    """The licences of some rows, in order of name: their own, else the model's."""
    if LICENCE not in rows.schema.names:
        return [of_model]
    return sorted({licence or of_model for licence in rows[LICENCE].unique().to_pylist()})


def in_force(terms: Iterable[Terms], licences: Iterable[str]) -> tuple[Terms, ...]:
    """What is known of some licences."""
    single = {part for licence in licences for part in licence.split(BOTH)}
    return joined_terms((one for one in terms if one.licence in single), map(Terms, single))


def both(first: str, second: str) -> str:
    """The licence of what is made of two."""
    return BOTH.join(sorted({*first.split(BOTH), *second.split(BOTH)}))


def shared(licences: Iterable[str]) -> str:
    """As STAC takes it: the SPDX identifier that all are, or "other"."""
    (licence, *more) = dict.fromkeys(licences)
    return licence if not more and re.fullmatch(r"[\w.+-]+", licence) else OTHER
