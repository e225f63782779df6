"""``benchmarks.als``: the loss that all are measured by, and aims that are judged."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import als
from benchmarks.als import summarise, verdicts
from benchmarks.als_contestants import loss
from benchmarks.measuring import Measurement


@pytest.mark.parametrize("implicit", [True, False])
def test_the_loss_is_that_of_all_pairs_or_of_the_ratings(tmp_path, implicit):
    user, item, rating = np.array([0, 0, 1]), np.array([0, 2, 1]), np.array([5.0, 3.0, 4.0])
    pq.write_table(pa.table({"user_idx": user, "item_idx": item, "rating": rating}), tmp_path / "rows.parquet")
    generator = np.random.default_rng(1)
    users, items = (generator.standard_normal((n, 2)).astype(np.float32) for n in (2, 3))
    given = {"implicit": implicit, "alpha": 3.0, "reg": 0.5}
    expected = 0.0
    for u in range(2):
        for i in range(3):
            score, has = float(users[u] @ items[i]), (u, i) in {(0, 0), (0, 2), (1, 1)}
            if implicit:
                expected += (1 + 3 * has) * (has - score) ** 2
            elif has:
                expected += (rating[(user == u) & (item == i)][0] - score) ** 2
            expected += 0.5 * has * float(users[u] @ users[u] + items[i] @ items[i])
    assert loss(tmp_path / "rows.parquet", given, users, items) == pytest.approx(expected / 3, rel=1e-5)


@pytest.mark.parametrize(("seconds", "own_loss", "n_met"), [(80.0, 2.001, 2), (79.0, 2.001, 1), (80.0, 2.01, 1)])
def test_speed_and_loss_are_judged(seconds, own_loss, n_met):
    runs = {"spark": [Measurement(seconds, 1, 0, 1, 2.0)], "local": [Measurement(10.0, 1, 0, 1, own_loss)]}
    sentences = list(verdicts(summarise("explicit", runs)))
    assert (len(sentences), sum(one.endswith(": met") for one in sentences)) == (2, n_met)


def test_unknown_contestants_are_refused(capsys):
    assert als.main(["--only", "local,awk"]) == 2
    assert "awk" in capsys.readouterr().err


def test_this_machine_and_implicit_fit_what_is_drawn(capsys):
    pytest.importorskip("implicit")
    assert als.main(["--only", "local,implicit", "--objective", "implicit", "--rank", "4", "--divisor", "400"]) == 0
    assert "x local" in capsys.readouterr().out
