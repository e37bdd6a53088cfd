"""Labelled series of single pixels: one Parquet file per set, one row per place (docs/evaluation.md)."""

import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data.modality import S1, S2, Modality
from data.pixel_series import PixelSeries, read_pixel_series
from data.sample import InputError, Sample
from encoder.training.corpus import PixelSamples

from .problem import Problem, one_hot, split_fold

L1C_BLUE_OVER_GREEN = 0.8  # over vegetation: L2A sets lie at 0.54-0.59, L1C sets at 1.00-1.12
MEDIAN_RANGE = {"s2": (30.0, 20000.0), "s1": (-45.0, -1.0)}  # outside: 0-1 reflectance, linear power, ...


@dataclass(frozen=True)
class SensorRules:
    """What may stand in for what. Both are printed beside every number they touch."""

    fill_band: Mapping[str, str] = field(default_factory=dict)  # missing band -> band to copy: B8A -> B08
    allow_l1c: bool = False

    @classmethod
    def parse(cls, fills: Sequence[str], allow_l1c: bool) -> "SensorRules":
        """From the command line's words, `B8A=B08`.

        Raises:
            InputError: not two Sentinel-2 bands joined by `=`.
        """
        pairs = dict(word.partition("=")[::2] for word in fills)
        if unknown := [word for word in (*pairs, *pairs.values()) if word not in S2.bands]:
            raise InputError(f"--fill-band names {unknown}; expected BAND=BAND of {', '.join(S2.bands)}.")
        return cls(pairs, allow_l1c)


@dataclass(frozen=True)
class SeriesSet:
    """n labelled places with up to T dates."""

    name: str
    pixels: PixelSeries  # ten S2 bands; one that is not among `bands` repeats another
    year: np.ndarray  # (n, T) int16 of each date, 0 = unknown
    label: np.ndarray  # (n,) str
    bands: tuple[str, ...]  # S2 bands of the file
    encoder_sees_s2: bool
    notes: tuple[str, ...]  # what the table must say of this set

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, rows: np.ndarray) -> "SeriesSet":
        """The places of these rows, by index or by mask."""
        return replace(self, pixels=self.pixels.take(rows), year=self.year[rows], label=self.label[rows])

    def noting(self, note: str) -> "SeriesSet":
        """The same with one more note."""
        return replace(self, notes=(*self.notes, note))

    def showing(self, dates: np.ndarray) -> "SeriesSet":
        """The same with those dates alone: (n, T) bool."""
        pixels = self.pixels
        shown = replace(pixels, s2_valid=pixels.s2_valid & dates, s1_valid=pixels.s1_valid & dates)
        return replace(self, pixels=shown)

    @property
    def s2(self) -> np.ndarray:
        """(n, T, len(bands)) float32 reflectance x 10000, NaN where missing."""
        own = self.pixels.s2[..., [S2.bands.index(band) for band in self.bands]].astype(np.float32)
        return np.where(self.pixels.s2_valid[..., None], own, np.nan)

    @property
    def s1(self) -> np.ndarray:
        """(n, T, 2) float32 dB, NaN where missing."""
        return np.where(self.pixels.s1_valid[..., None], self.pixels.s1, np.nan)

    @property
    def raw(self) -> np.ndarray:
        """(n, T, C) both sensors, NaN where missing."""
        return np.concatenate([self.s2, self.s1], axis=2)

    def samples(self, px_per_cell: Mapping[str, int], max_dates: int | None = None) -> list[Sample | None]:
        """One constant patch of one grid cell each, as the encoder may see it; None where it sees nothing.

        Args:
            px_per_cell: of the model.
            max_dates: of each sensor, spread over the period; all if None.
        """
        s2_valid = spread_dates(self.pixels.s2_valid, max_dates) & self.encoder_sees_s2
        s1_valid = spread_dates(self.pixels.s1_valid, max_dates)
        seen = np.asarray(s2_valid.any(axis=1) | s1_valid.any(axis=1))
        shown = replace(self.pixels, s2_valid=s2_valid, s1_valid=s1_valid).take(seen)
        made = iter(PixelSamples(shown, px_per_cell))
        return [next(made) if there else None for there in seen]


def read_series(path: Path, rules: SensorRules) -> SeriesSet:
    """Read and check one set.

    Raises:
        InputError: not a Parquet file of this form, no rows, or values in another unit.
    """
    schema = _schema(path)
    bands = tuple(json.loads((schema.metadata or {}).get(b"s2_bands", b"[]"))) or S2.bands
    lacking = [band for band in S2.bands if band not in bands]
    filled = {b: rules.fill_band[b] for b in lacking if rules.fill_band.get(b) in bands}
    stand_in = dict.fromkeys(lacking, bands[0]) | filled
    table = pq.read_table(path, columns=["label", "dates"])
    pixels = read_pixel_series(path, stand_in)
    labelled = SeriesSet(
        name=path.stem,
        pixels=pixels,
        year=_years(table["dates"].to_pylist(), pixels.day_of_year.shape),
        label=np.array([label or "" for label in table["label"].to_pylist()], dtype=str),
        bands=bands,
        encoder_sees_s2=True,
        notes=tuple(f"{band} filled with {source}" for band, source in filled.items())
        + (("no year: mid-month dates, if any",) if table["dates"].null_count == len(table) else ()),
    )
    if unlabelled := int((labelled.label == "").sum()):
        labelled = labelled.take(labelled.label != "").noting(f"{unlabelled} rows without a label left out")
    _check_units(path, labelled)
    stated = (schema.metadata or {}).get(b"s2_level", b"").decode()
    return _allowed(labelled, [band for band in lacking if band not in filled], stated, rules)


def series_problem(labelled: SeriesSet, query: np.ndarray, database: np.ndarray) -> Problem:
    """The set as a question: rows of `query` (n,) bool against those of `database`.

    Raises:
        InputError: no query, or no row far enough from all of them.
    """
    pixels = labelled.pixels
    fold, note = split_fold(query, database, pixels.lon_deg, pixels.lat_deg, labelled.name)
    return replace(unasked(labelled), folds=(fold,)).noting(note)


def unasked(labelled: SeriesSet) -> Problem:
    """The set as a question without a fold."""
    pixels, (labels, classes) = labelled.pixels, one_hot(labelled.label)
    position = (pixels.lon_deg, pixels.lat_deg)
    return Problem(labelled.name, labels, classes, pixels.block, *position, (), labelled.notes)


def _schema(path: Path) -> pa.Schema:
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path} cannot be read ({error}); expected a Parquet file of series.") from error
    if "label" not in file.schema_arrow.names or not file.metadata.num_rows:
        raise InputError(
            f"{path} has no column `label` or no rows; expected a Parquet file of labelled series."
        )
    return file.schema_arrow


def _years(dates: Sequence[Sequence[datetime.date] | None], shape: tuple[int, ...]) -> np.ndarray:
    """(n, T) int16; 0 where the file gives no date."""
    out = np.zeros(shape, dtype=np.int16)
    for row, days in enumerate(dates):
        if days:
            out[row, : len(days)] = [day.year for day in days]
    return out


def _check_units(path: Path, labelled: SeriesSet) -> None:
    """A median outside what a scene can have is a unit mix-up, which would silently ruin every number."""
    for modality, values in ((S2, labelled.s2), (S1, labelled.s1)):
        flat = values.reshape(-1, values.shape[2])
        flat = flat[np.isfinite(flat).all(axis=1)]
        if len(flat):
            _check_medians(path, modality, np.median(flat, axis=0))


def _check_medians(path: Path, modality: Modality, medians: np.ndarray) -> None:
    low, high = MEDIAN_RANGE[modality.name]
    if (medians < low).any() or (medians > high).any():
        raise InputError(
            f"{path}: medians per band of {modality.name} are {np.round(medians, 3).tolist()}; expected "
            f"{low:g} to {high:g} ({modality.unit}). Convert the units first."
        )


def _allowed(labelled: SeriesSet, lacking: list[str], stated_level: str, rules: SensorRules) -> SeriesSet:
    """Decide whether the encoder may see S2, and say what a reader of the table must know."""
    level, level_note = (stated_level, "") if stated_level else guess_level(labelled)
    notes = [level_note, *_remarks(labelled)]
    refused = ""
    if lacking:
        refused = f"{', '.join(lacking)} missing, see --fill-band"
    elif level != "L2A":
        refused = "" if rules.allow_l1c else f"{level}, see --allow-l1c"
        notes.append("" if refused else f"{level} taken as L2A")
    if refused:
        notes.append(f"the encoder sees no S2 ({refused})")
    return replace(labelled, encoder_sees_s2=not refused, notes=labelled.notes + tuple(n for n in notes if n))


def guess_level(labelled: SeriesSet) -> tuple[str, str]:
    """Processing level by haze: over vegetation blue is well below green at the surface, equal above it."""
    at = {band: labelled.s2[..., i] for i, band in enumerate(labelled.bands)}
    if not {"B02", "B03", "B04", "B08"} <= set(at):
        return "L2A", "S2 level unknown, taken as L2A"
    vegetation = (at["B08"] - at["B04"]) > 0.4 * (at["B08"] + at["B04"])  # NDVI above 0.4
    if vegetation.sum() < 20:
        return "L2A", "S2 level unknown (no vegetation to tell by), taken as L2A"
    ratio = float(np.median(at["B02"][vegetation] / at["B03"][vegetation]))
    if ratio < L1C_BLUE_OVER_GREEN:
        return "L2A", ""
    return "L1C", f"S2 is L1C by its haze (blue/green over vegetation {ratio:.2f}, L2A is below 0.8)"


def _remarks(labelled: SeriesSet) -> list[str]:
    pixels, notes = labelled.pixels, []
    if missing := [band for band in S2.bands if band not in labelled.bands]:
        notes.append(f"file lacks {', '.join(missing)}")
    if not pixels.day_of_year.any():
        notes.append("no dates")
    if not pixels.s1_valid.any():
        notes.append("no S1")
    places = len(np.unique(np.stack([pixels.lon_deg, pixels.lat_deg]), axis=1).T)
    if places < len(labelled):
        notes.append(f"{len(labelled)} rows at {places} positions")
    return notes


def spread_dates(valid: np.ndarray, at_most: int | None) -> np.ndarray:
    """Keep at most `at_most` True of each row, evenly spaced among them: (n, T) bool -> (n, T) bool."""
    if at_most is None:
        return valid
    rank = np.cumsum(valid, axis=1) - 1  # of each valid step
    count = valid.sum(axis=1, keepdims=True)
    wanted = np.round(np.arange(at_most) * np.maximum(count - 1, 0) / max(at_most - 1, 1))  # (n, at_most)
    chosen = (rank[:, :, None] == wanted[:, None, :]).any(axis=2)
    return np.asarray(valid & (chosen | (count <= at_most)))
