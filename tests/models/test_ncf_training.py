from dataclasses import replace

import numpy as np
import pytest

from models.base import Interactions
from models.ncf import Gmf, NcfOptions, NeuMf, NeuMfExplicit
from schema.errors import InvalidInput

torch = pytest.importorskip("torch", reason="PyTorch is not installed: make neural")

from models.ncf_training import STATE_FILE, Training  # noqa: E402

SMALL = {"ncf_factors": 4, "ncf_layers": 1, "ncf_epochs": 8, "ncf_patience": 8, "ncf_rate": 0.01, "ncf_batch": 64}
OPTIONS = NcfOptions(**SMALL)


def arrays_of(model):
    return {name: value.tobytes() for name, value in vars(model).items() if isinstance(value, np.ndarray)}


def fit(interactions, kind=NeuMf, **others):
    return kind().fit(interactions, SMALL | others)


def test_a_fit_that_was_cut_off_goes_on_and_ends_with_the_same_bytes(checkerboard, tmp_path, monkeypatch):
    epochs, torch_save = [], torch.save

    def save(state, path):
        torch_save(state, path)
        epochs.append(state["state"]["epoch"])
        if len(epochs) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", save)
    resumable = replace(checkerboard, checkpoint=tmp_path / "fit")
    with pytest.raises(KeyboardInterrupt):
        fit(resumable)
    assert epochs == [1, 2, 3]  # the third was cut off before it got its name
    assert arrays_of(fit(resumable)) == arrays_of(fit(checkerboard))
    assert epochs[3:] == [3, 4, 5, 6, 7, 8]
    assert (tmp_path / "fit").stat().st_mode & 0o077 == 0
    assert (tmp_path / "fit" / STATE_FILE).exists()
    fit(resumable)
    assert len(epochs) == 9


def test_result_depends_on_the_seed_and_on_neither_order_nor_threads_nor_what_else_was_drawn(checkerboard):
    order = np.random.default_rng(1).permutation(len(checkerboard.user_idx))
    shuffled = replace(checkerboard, column=lambda name: checkerboard.column(name)[order])
    first = arrays_of(fit(checkerboard))
    torch.manual_seed(7)
    torch.set_num_threads(2)
    assert arrays_of(fit(shuffled)) == first
    assert (torch.get_num_threads(), torch.initial_seed()) == (2, 7)
    assert arrays_of(fit(checkerboard, ncf_seed=1)) != first


@pytest.mark.parametrize("parts", [("factors",), ("tower",), ("factors", "tower")])
def test_the_model_scores_as_the_network_does(checkerboard, parts):
    kind = type("Some", (NeuMf if "tower" in parts else Gmf,), {"parts": frozenset(parts)})()
    model = kind.fit(checkerboard, SMALL | {"ncf_layers": 2})
    training = Training(checkerboard, OPTIONS.model_copy(update={"ncf_layers": 2}), parts, explicit=False)
    training.run(None)
    users, items = np.repeat(np.arange(12), 20), np.tile(np.arange(20), 12)
    with torch.no_grad():
        expected = training._score(users, items).numpy()
    np.testing.assert_allclose(model.score(users, items), expected, rtol=1e-4, atol=1e-5)


def test_training_stops_when_what_is_held_back_is_predicted_no_better(checkerboard):
    training = Training(checkerboard, NcfOptions(ncf_epochs=50, ncf_patience=2), ("factors",), explicit=False)
    training._measure = iter([0.1, 0.3, 0.2, 0.3]).__next__
    training.run(None)
    assert (training.state.epoch, training.state.quality) == (4, 0.3)
    best = training.state.weights["user_factors.weight"]
    assert torch.equal(training.network["user_factors"].weight, best)


def test_a_fit_that_diverges_is_never_the_best(checkerboard):
    training = Training(checkerboard, OPTIONS, ("factors",), explicit=False)
    assert np.isfinite(training._measure())
    with torch.no_grad():
        training.network["user_factors"].weight.fill_(np.nan)
    assert training._measure() == -np.inf


def test_held_back_rows_are_not_learnt_from(checkerboard):
    every = set(zip(checkerboard.user_idx.tolist(), checkerboard.item_idx.tolist(), strict=True))
    training = Training(checkerboard, OPTIONS, ("factors",), explicit=False)
    batches = training._batches(np.random.default_rng(0))
    users, items, targets = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    learnt = set(zip(users[targets == 1].tolist(), items[targets == 1].tolist(), strict=True))
    own = set(zip(training.held.users.tolist(), training.held.items.tolist(), strict=True))
    assert own
    assert learnt == every - own
    assert (targets == 0).sum() == 4 * (targets == 1).sum()


def test_a_user_of_one_row_keeps_it():
    alone = Interactions.of(3, 3, user_idx=[0, 1, 2], item_idx=[0, 1, 2])
    training = Training(alone, OPTIONS, ("factors",), explicit=False)
    assert (len(training.rows.users), len(training.held.users)) == (3, 0)
    training.run(None)
    assert training.state.epoch == OPTIONS.ncf_epochs
    assert torch.equal(training.network["user_factors"].weight, training.state.weights["user_factors.weight"])
    assert training.state.waited == 0


def test_ndcg_of_what_is_held_back_is_over_all_items_that_are_not_learnt(checkerboard, monkeypatch):
    training = Training(checkerboard, OPTIONS, ("factors",), explicit=False)
    training.run(None)  # before, many scores are equal
    known = training.known.take(training.held.users)
    gains = []
    for row, (user, item) in enumerate(zip(training.held.users, training.held.items, strict=True)):
        of_all = training._score(np.full(20, user), np.arange(20)).detach().numpy()
        left = np.delete(np.arange(20), known.items[known.indptr[row] : known.indptr[row + 1]])
        rank = 1 + int((of_all[left] > of_all[item]).sum())
        gains.append(1 / np.log2(rank + 1) if rank <= 10 else 0)
    monkeypatch.setattr("models.ncf_training.PAIRS_AT_ONCE", 40)
    assert training._measure() == pytest.approx(np.mean(gains))


def test_ratings_are_learnt_and_those_that_are_missing_left_out(checkerboard):
    rating = np.where(checkerboard.user_idx == 3, np.nan, checkerboard.rating)
    rated = Interactions.of(12, 20, user_idx=checkerboard.user_idx, item_idx=checkerboard.item_idx, rating=rating)
    model = fit(rated, NeuMfExplicit, ncf_epochs=60, ncf_patience=60, ncf_rate=0.02)
    is_rated = np.isfinite(rating)
    predicted = model.score(rated.user_idx[is_rated], rated.item_idx[is_rated])
    assert np.abs(predicted - rating[is_rated]).mean() < 0.5
    assert not np.asarray(model.user_embeddings)[3].any()
    assert np.asarray(model.user_embeddings)[[2, 4]].any(axis=1).all()


def test_no_rows_are_refused():
    unrated = Interactions.of(2, 2, user_idx=[0, 1], item_idx=[0, 1], rating=[np.nan, np.nan])
    with pytest.raises(ValueError, match="2 interactions leave no row to learn from"):
        fit(unrated, NeuMfExplicit)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_named(checkerboard):
    with pytest.raises(InvalidInput, match="--ncf-device cuda, and PyTorch finds no CUDA device"):
        fit(checkerboard, ncf_device="cuda")
