"""Whom candidates are compared on: of a large validation part a sample, of others all."""

import pytest

from storage.manifest import Manifest
from tasks.options import EvaluationOptions
from tasks.search import sample_validation


@pytest.mark.parametrize(
    ("method", "n_users", "n_rows", "asked", "expected"),
    [
        ("leave-last", 192_403, 192_403, None, 50_000),
        ("leave-last", 50_000, 50_000, None, None),
        ("rolling", 40_000, 200_000, None, 10_000),
        ("rolling", 7_000, 2_000_000, None, 4_000),
        ("rolling", 30, 2_000_000, None, None),
        ("rolling", 40_000, 50_000, None, None),
        ("random-per-user", 40_000, 200_000, None, None),
        ("leave-last", 192_403, 192_403, 7, 7),
        ("leave-last", 192_403, 192_403, 192_403, 192_403),
    ],
)
def test_a_large_validation_part_is_sampled_unless_so_many_users_are_asked_for(
    method, n_users, n_rows, asked, expected
):
    counts = {"method": method, "validation_n_users": n_users, "validation_n_rows": n_rows}
    split = Manifest("splits", "1f3a", {}, {}, "", (), counts)
    assert sample_validation(split, EvaluationOptions(evaluate_users=asked)).evaluate_users == expected
