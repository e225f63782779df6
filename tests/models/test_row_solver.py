import tracemalloc

import numpy as np
import pytest

from models import row_solver
from models.row_solver import RowsByLength, diagonalise, split_solution
from schema.items_by_user import ItemsByUser

D, N_ITEMS = 16, 60
LENGTHS = [0, 1, 1, 2, 15, 16, 17, 40, 40]  # shorter than D, as long, and longer


def solve_plainly(items, weights, factors, spectrum, penalty):
    """The oracle: the normal equations of one row, in double precision."""
    vectors = factors[items].astype(np.float64)
    matrix = (vectors.T * weights) @ vectors + np.diag(spectrum + penalty)
    return np.linalg.solve(matrix, vectors.T @ weights)


@pytest.fixture
def problem():
    generator = np.random.default_rng(5)
    rows = [np.sort(generator.permutation(N_ITEMS)[:n]) for n in LENGTHS]
    table = ItemsByUser(np.cumsum([0, *LENGTHS]), np.concatenate(rows).astype(np.int32))
    weights = generator.uniform(0.2, 3, len(table.items)).astype(np.float32)
    factors, spectrum = diagonalise(generator.standard_normal((N_ITEMS, D), dtype=np.float32))
    return table, weights, factors, 0.1 * spectrum, generator.uniform(0.1, 4, len(LENGTHS))


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-12)])
def test_every_row_is_the_solution_of_its_normal_equations(problem, dtype, tolerance):
    table, weights, factors, spectrum, penalty = problem
    solved = RowsByLength.of(table, weights.astype(dtype), penalty).solve(factors, spectrum)
    assert solved.dtype == dtype
    for row, (start, stop) in enumerate(zip(table.indptr, table.indptr[1:], strict=False)):
        expected = solve_plainly(table.items[start:stop], weights[start:stop], factors, spectrum, penalty[row])
        np.testing.assert_allclose(solved[row], expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-12)])
@pytest.mark.filterwarnings("error")
def test_an_item_whose_weight_was_rounded_to_nothing_counts_for_nothing(problem, dtype, tolerance):
    table, weights, factors, spectrum, penalty = problem
    weights[::3] = 0
    solved = RowsByLength.of(table, weights.astype(dtype), penalty).solve(factors, spectrum)
    for row, (start, stop) in enumerate(zip(table.indptr, table.indptr[1:], strict=False)):
        expected = solve_plainly(table.items[start:stop], weights[start:stop], factors, spectrum, penalty[row])
        np.testing.assert_allclose(solved[row], expected, rtol=0, atol=tolerance)


def test_what_the_items_of_a_row_add_sums_to_its_vector(problem):
    table, weights, factors, spectrum, penalty = problem
    solved = RowsByLength.of(table, weights.astype(np.float64), penalty).solve(factors, spectrum)
    for row, (start, stop) in enumerate(zip(table.indptr, table.indptr[1:], strict=False)):
        vectors = factors[table.items[start:stop]].astype(np.float64)
        parts = split_solution(weights[start:stop].astype(np.float64), vectors, spectrum, penalty[row])
        assert parts.shape == (D, stop - start)
        np.testing.assert_allclose(parts.sum(axis=1), solved[row], atol=1e-12)


def test_a_long_history_is_split_without_a_matrix_of_its_length(problem):
    _, _, factors, spectrum, _ = problem
    vectors = np.repeat(factors.astype(np.float64), 200, axis=0)
    tracemalloc.start()
    parts = split_solution(np.ones(len(vectors)), vectors, spectrum, 1.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert parts.shape == (D, len(vectors))
    assert peak < len(vectors) ** 2


def test_a_row_has_the_same_bytes_in_any_company_and_block(problem, monkeypatch):
    table, weights, factors, spectrum, penalty = problem
    together = RowsByLength.of(table, weights, penalty).solve(factors, spectrum)
    monkeypatch.setattr(row_solver, "BLOCK_NUMBERS", 1)
    assert RowsByLength.of(table, weights, penalty).solve(factors, spectrum).tobytes() == together.tobytes()
    order = np.arange(len(LENGTHS))[::-1]
    apart = RowsByLength.of(table.take(order), weights[table.places(order)], penalty[order]).solve(factors, spectrum)
    assert apart.tobytes() == together[order].tobytes()


def test_factors_are_turned_so_that_their_products_stay_and_their_gram_matrix_is_a_rising_diagonal():
    factors = np.random.default_rng(1).standard_normal((30, 5), dtype=np.float32)
    turned, spectrum = diagonalise(factors)
    np.testing.assert_allclose(turned @ turned.T, factors @ factors.T, atol=1e-5)
    np.testing.assert_allclose(turned.T @ turned, np.diag(spectrum), atol=1e-4)
    assert (np.diff(spectrum) >= 0).all()
