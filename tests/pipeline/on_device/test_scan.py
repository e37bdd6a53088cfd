"""The rows that torch names hold the exact answer, whatever the numbers, the filter and the crowd."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode

from indexer.geo.row_ranges import RowRanges
from indexer.index.on_device import SLACK
from indexer.index.vectors import Vectors
from indexer.table.columns import unit
from pipeline.on_device import scan
from pipeline.on_device.scan import GROUP, HeldVectors, Sizes

from ...indexer.close_clouds import close_cloud

SMALL = Sizes(cosines=2_000, numbers=9_000, kept=20_000, longest_copied=150)  # many blocks of few rows
DTYPES = st.sampled_from([np.float16, np.float32])
MASKS = st.sampled_from(["all", "few", "half", "runs", "one run", "none"])


def held(vectors: Vectors, sizes: Sizes = SMALL) -> HeldVectors:
    """In this processor's memory, as `TorchDevice.hold` brings them there."""
    matrix, inverse = (array.unchecked.copy() for array in (vectors.matrix, vectors.inverse_norms))
    matrix[inverse == 0] = 0
    made = HeldVectors(torch.from_numpy(matrix), torch.from_numpy(inverse))
    made._sizes = sizes
    return made


def masked(kind: str, n: int, rng: np.random.Generator) -> RowRanges:
    masks = {
        "all": np.ones(n, bool),
        "few": rng.random(n) < 0.05,
        "half": rng.random(n) < 0.5,
        "runs": np.arange(n) % 700 < 500,
        "one run": (np.arange(n) > n // 3) & (np.arange(n) < n // 2),
        "none": np.zeros(n, bool),
    }
    return RowRanges.of_rows(np.flatnonzero(masks[kind]))


@given(
    st.integers(1, 3000), st.sampled_from([1, 3, 8, 37]), st.integers(1, 1200), st.integers(1, 5), DTYPES,
    MASKS, st.booleans(), st.sampled_from([0.0, 0.3]), st.sampled_from([SMALL, scan.SIZES["cpu"]]),
)  # fmt: skip
@settings(max_examples=120, deadline=None)
def test_what_is_named_holds_the_exact_answer(
    n: int, d: int, k: int, q: int, dtype: type, kind: str, scaled: bool, share: float, sizes: Sizes
) -> None:
    rng = np.random.default_rng(n)
    made = rng.normal(size=(n, d))
    matrix = (unit(made) if scaled else made).astype(dtype)
    matrix[rng.random(n) < share] = matrix[0]  # equal rows
    matrix[rng.random(n) < share / 3] = 0
    matrix[rng.random(n) < share / 9] = np.nan
    vectors, queries = Vectors.of(matrix), unit(rng.normal(size=(q, d)))
    rows = masked(kind, n, rng)
    assert held(vectors)._spread <= scan.NARROW or not scaled
    named = held(vectors, sizes).may_be_best(rows, queries[:, None], k, SLACK)
    assert len(named) == q
    for query, mine in zip(queries, named, strict=True):
        assert np.isin(mine, rows.rows()).all()
        assert (np.diff(mine) > 0).all()
        similarity, found = vectors.nearest(rows, query, k)
        cosines, same = vectors.nearest_of(mine, query, k)
        assert same.tolist() == found.tolist()
        assert cosines.tolist() == similarity.tolist()


@given(st.integers(1, 2000), st.integers(1, 60), st.integers(1, 4), DTYPES, MASKS)
@settings(max_examples=40, deadline=None)
def test_a_row_counts_for_the_vector_that_it_is_least_like(
    n: int, k: int, m: int, dtype: type, kind: str
) -> None:
    rng = np.random.default_rng(n)
    vectors, question = Vectors.of(rng.normal(size=(n, 9)).astype(dtype)), unit(rng.normal(size=(m, 9)))
    rows = masked(kind, n, rng)
    (named,) = held(vectors).may_be_best(rows, question[None], k, SLACK)
    similarity, found = vectors.nearest_to_all(rows, question, k)
    cosines, same = vectors.nearest_to_all(RowRanges.of_rows(named), question, k)
    assert same.tolist() == found.tolist()
    assert cosines.tolist() == similarity.tolist()


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("turned", [1, -1])
def test_rounded_queries_lose_no_row_of_a_close_cloud(dtype: type, turned: int) -> None:
    """Its cosines differ by less than what a query is off in the table's float16."""
    stored = close_cloud(6_000).astype(dtype)
    vectors, everything = Vectors.of(stored), RowRanges.all_of(len(stored))
    queries = turned * unit(close_cloud(12, seed=0)[:12] + np.random.default_rng(1).normal(0, 4e-4, (12, 96)))
    named = held(vectors).may_be_best(everything, queries[:, None], 10, SLACK)
    blind = [np.sort(everything.rows()[np.argsort(-(stored @ q.astype(dtype)))[:10]]) for q in queries]
    exact = [vectors.nearest(everything, query, 10)[1] for query in queries]
    if dtype is np.float16:
        kept = [np.isin(a, b).all() for a, b in zip(exact, blind, strict=True)]
        assert not all(kept), "or rounding hides nothing, and this test cannot fail"
    for query, mine, found in zip(queries, named, exact, strict=True):
        assert vectors.nearest_of(mine, query, 10)[1].tolist() == found.tolist()
    assert max(map(len, named)) < 200, "it names few"


def test_a_crowd_is_named_whole() -> None:
    """More equal rows than the groups that are looked into first."""
    n = GROUP * (scan.FIRST_GROUPS + 100)
    matrix = np.tile(unit(np.arange(1.0, 9)).astype(np.float16), (n, 1))
    matrix[:: 3 * GROUP] *= np.float16(-1)
    rows = Vectors.of(matrix)
    named = held(rows).may_be_best(RowRanges.all_of(n), np.tile(unit(np.arange(1.0, 9)), (2, 1, 1)), 5, SLACK)
    alike = np.flatnonzero(matrix[:, 0] > 0)
    assert [mine.tolist() for mine in named] == [alike.tolist()] * 2


def test_few_are_named_where_rows_differ() -> None:
    rng = np.random.default_rng(0)
    vectors = Vectors.of(rng.normal(size=(20_000, 64)).astype(np.float16))
    queries = unit(rng.normal(size=(8, 64)))
    for k in (1, 10, 1_000):
        named = held(vectors, scan.SIZES["cpu"]).may_be_best(
            RowRanges.all_of(20_000), queries[:, None], k, SLACK
        )
        assert all(k <= len(mine) <= k + 10 for mine in named)


@pytest.fixture(params=["tf32", "bf16"])
def coarse(request: pytest.FixtureRequest) -> Iterator[None]:
    """Products of float32 as someone else in the process may have allowed them."""
    torch.backends.mkldnn.matmul.fp32_precision = request.param
    yield
    torch.backends.mkldnn.matmul.fp32_precision = "none"


@pytest.mark.usefixtures("coarse")
def test_products_that_someone_made_coarser_are_allowed_for() -> None:
    vectors = Vectors.of(close_cloud(3_000).astype(np.float32))
    query, made = unit(close_cloud(1)), held(vectors)
    assert made._coarseness >= 2 * 2.0**-11, "a rounding of either number"
    (named,) = made.may_be_best(RowRanges.all_of(3_000), query[:, None], 10, SLACK)
    found = vectors.nearest(RowRanges.all_of(3_000), query[0], 10)
    assert vectors.nearest_of(named, query[0], 10)[1].tolist() == found[1].tolist()
    assert len(named) < 200


def test_masks_and_numbers_of_ranges_are_made_as_numpy_makes_them() -> None:
    ranges = RowRanges(np.array([0, 5, 9, 20]), np.array([3, 9, 12, 21]))  # two of them touch
    device = torch.device("cpu")
    assert scan._numbers(ranges, device).tolist() == ranges.rows().tolist()
    assert scan._mask(ranges, 21, device).tolist() == ranges.mask(21).tolist()
    nothing = RowRanges.all_of(0)
    assert scan._numbers(nothing, device).tolist() == []
    assert not scan._mask(nothing, 4, device).any()


@pytest.mark.parametrize(("share", "copied", "masked"), [(0.05, True, False), (0.9, False, True)])
def test_scattered_rows_are_copied_or_masked_by_what_they_cost(
    share: float, copied: bool, masked: bool
) -> None:
    n, device = 5_000, torch.device("cpu")
    mask = np.random.default_rng(0).random(n) < share
    mask[1_000:1_400] = True
    layout = scan._Layout.of(RowRanges.of_rows(np.flatnonzero(mask)), n, device, SMALL)
    assert (len(layout.copied) > 0) is copied
    assert (layout.allowed is not None) is masked
    if copied:
        assert layout.pieces[0][1] - layout.pieces[0][0] >= 400, "the long run is read where it lies"


def test_halves_are_multiplied_on_a_gpu_as_they_are() -> None:
    """No GPU is needed to know what would be called: float16 in, float32 out, no copy in between."""
    with FakeTensorMode():
        queries, rows = (torch.empty(n, 8, dtype=torch.half, device="cuda") for n in (3, 64))
        products = scan.products(queries, rows)
    assert (products.dtype, products.shape, products.device.type) == (torch.float32, (3, 64), "cuda")
