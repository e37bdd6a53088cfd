"""Files of series: what is read, what is refused, what is said."""

from pathlib import Path

import numpy as np
import pytest

from data.modality import S2
from data.sample import InputError
from experiments.retrieval.series_sets import SensorRules, read_series, series_problem, spread_dates

from .make_series import DATES, write_series

PX = {"hr": 32, "s2": 8, "s1": 8}
ANY = SensorRules()


def test_series_become_constant_patches_of_one_cell(tmp_path: Path) -> None:
    found = read_series(write_series(tmp_path / "a.parquet", n=8), ANY)
    sample = found.samples(PX)[1]
    assert sample is not None
    assert sample.grid_shape == (1, 1)
    s2 = sample.series["s2"]
    assert s2.pixels.shape == (6, 10, 8, 8)
    assert (s2.pixels == s2.pixels[:, :, :1, :1]).all()
    assert s2.day_of_year.tolist() == [d.timetuple().tm_yday for d in DATES]
    assert found.label.tolist() == ["green", "bare"] * 4
    assert found.notes == ()


def test_dates_are_spread_when_they_are_many(tmp_path: Path) -> None:
    found = read_series(write_series(tmp_path / "a.parquet", n=8), ANY)
    sample = found.samples(PX, max_dates=3)[0]
    assert sample is not None
    assert len(sample.series["s2"].valid) == len(sample.series["s1"].valid) == 3


def test_spread_keeps_ends_and_count() -> None:
    valid = np.array([[1, 0, 1, 1, 1, 1, 0, 1], [0, 0, 1, 0, 0, 0, 0, 0]], dtype=bool)
    assert spread_dates(valid, 3).astype(int).tolist() == [[1, 0, 0, 1, 0, 0, 0, 1], [0, 0, 1, 0, 0, 0, 0, 0]]
    assert (spread_dates(valid, 8) == valid).all()


def test_a_missing_band_hides_s2_until_it_is_filled(tmp_path: Path) -> None:
    bands = tuple(band for band in S2.bands if band != "B8A")
    path = write_series(tmp_path / "a.parquet", n=8, bands=bands)
    hidden = read_series(path, ANY)
    assert "the encoder sees no S2 (B8A missing, see --fill-band)" in hidden.notes
    assert [sorted(s.series) for s in hidden.samples(PX) if s] == [["s1"]] * 8
    assert hidden.s2.shape[2] == 9
    filled = read_series(path, SensorRules.parse(["B8A=B08"], allow_l1c=False))
    assert filled.notes == ("B8A filled with B08", "file lacks B8A")
    sample = filled.samples(PX)[0]
    assert sample is not None
    pixels = sample.series["s2"].pixels
    assert (pixels[:, S2.bands.index("B8A")] == pixels[:, S2.bands.index("B08")]).all()


def test_haze_tells_the_processing_level(tmp_path: Path) -> None:
    path = write_series(tmp_path / "a.parquet", n=20)
    clear = read_series(path, ANY)
    hazy = (clear.s2 + np.array([400, 100] + [0] * 8)).astype(int).tolist()
    path = write_series(tmp_path / "b.parquet", n=20, s2=hazy)
    refused, allowed = read_series(path, ANY), read_series(path, SensorRules(allow_l1c=True))
    assert clear.encoder_sees_s2
    assert not refused.encoder_sees_s2
    assert any("see --allow-l1c" in note for note in refused.notes)
    assert allowed.encoder_sees_s2
    assert "L1C taken as L2A" in allowed.notes


def test_reflectance_of_another_unit_fails_loudly(tmp_path: Path) -> None:
    path = write_series(tmp_path / "a.parquet", n=4, s2=np.ones((4, 6, 10), dtype=int).tolist())
    with pytest.raises(InputError, match="medians per band of s2"):
        read_series(path, ANY)


def test_linear_radar_fails_loudly(tmp_path: Path) -> None:
    path = write_series(tmp_path / "a.parquet", n=4, s1=np.full((4, 6, 2), 0.1).tolist())
    with pytest.raises(InputError, match=r"-45 to -1 \(backscatter in dB"):
        read_series(path, ANY)


def test_no_year_and_no_radar_are_said(tmp_path: Path) -> None:
    months = [[4, 5, 6, 7, 8, 9]] * 60
    path = write_series(tmp_path / "a.parquet", dates=[None] * 60, s1=[None] * 60, months=months)
    found = read_series(path, ANY)
    assert found.notes == ("no year: mid-month dates, if any", "no S1")
    sample = found.samples(PX)[0]
    assert sample is not None
    assert sample.series["s2"].day_of_year[0] == 105


def test_a_place_with_nothing_to_see_is_none(tmp_path: Path) -> None:
    s2 = [np.full((6, 10), 500).tolist()] * 3 + [np.zeros((6, 10), dtype=int).tolist()]
    found = read_series(write_series(tmp_path / "a.parquet", n=4, s2=s2, s1=[None] * 4), ANY)
    assert [sample is None for sample in found.samples(PX)] == [False, False, False, True]


def test_rows_without_a_label_are_left_out_and_counted(tmp_path: Path) -> None:
    found = read_series(write_series(tmp_path / "a.parquet", n=4, label=["a", None, "", "b"]), ANY)
    assert (found.label.tolist(), len(found.pixels)) == (["a", "b"], 2)
    assert "2 rows without a label left out" in found.notes


def test_more_dates_than_steps_are_refused(tmp_path: Path) -> None:
    path = write_series(tmp_path / "a.parquet", n=4, dates=[*[DATES] * 3, [*DATES, DATES[-1]]])
    with pytest.raises(InputError, match="row 3 has 7 dates and 6 steps"):
        read_series(path, ANY)


@pytest.mark.parametrize("column", ["label", "s2", "block"])
def test_a_missing_column_is_named(tmp_path: Path, column: str) -> None:
    with pytest.raises(InputError, match=column):
        read_series(write_series(tmp_path / "a.parquet", n=4, **{column: None}), ANY)


def test_no_parquet_file_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text("not parquet")
    with pytest.raises(InputError, match="cannot be read"):
        read_series(tmp_path / "a.parquet", ANY)


def test_fill_band_words() -> None:
    with pytest.raises(InputError, match="B99"):
        SensorRules.parse(["B99=B08"], allow_l1c=False)


def test_the_problem_holds_blocks_apart(tmp_path: Path) -> None:
    found = read_series(write_series(tmp_path / "a.parquet"), ANY)
    test = found.pixels.split == "test"
    problem = series_problem(found, test, ~test)
    (fold,) = problem.folds
    assert not set(problem.block[fold.query]) & set(problem.block[fold.database])


def test_real_sets_say_what_they_are(shared: Path) -> None:
    rules = SensorRules.parse(["B8A=B08"], allow_l1c=True)
    notes = {p.stem: read_series(p, rules).notes for p in sorted((shared / "eval").glob("*.parquet"))}
    hazy = {name for name, of in notes.items() if "L1C taken as L2A" in of}
    assert hazy == {"presto_algae_blooms", "presto_fuel_moisture"}
    assert {name for name, of in notes.items() if "B8A filled with B08" in of} == {
        "worldcereal_fra2022_monthly", "worldcereal_fra2023_dekad",
    }  # fmt: skip
