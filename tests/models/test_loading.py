import numpy as np
import pytest

from models.factors import FactorModel
from models.item_knn import ItemKnnModel, ItemKnnOptions, fit_item_knn
from models.loading import RankingModel, load_ranking_model


@pytest.fixture
def factors():
    return FactorModel(np.array([[1], [2]], np.float32), np.array([[1], [3], [2]], np.float32))


@pytest.fixture
def neighbours():
    return fit_item_knn(np.array([0, 0, 1]), np.array([0, 1, 2]), 2, 3, ItemKnnOptions())


@pytest.mark.parametrize(("fixture", "kind"), [("factors", FactorModel), ("neighbours", ItemKnnModel)])
def test_load_gives_back_the_kind_of_model_that_was_saved(fixture, kind, tmp_path, request):
    saved: RankingModel = request.getfixturevalue(fixture)
    saved.save(tmp_path)
    loaded = load_ranking_model(tmp_path)
    assert type(loaded) is kind
    assert (loaded.n_users, loaded.n_items) == (2, 3)
    seen = np.array([0, 1]), np.array([0], np.int32)
    for one, other in zip(saved.rank(np.array([0]), *seen, 3), loaded.rank(np.array([0]), *seen, 3), strict=True):
        np.testing.assert_array_equal(one, other)
    assert loaded.rank(np.array([0]), *seen, 3)[0].tolist() == [[1, 2, -1]]


def test_files_of_two_models_are_refused(factors, neighbours, tmp_path):
    factors.save(tmp_path)
    neighbours.save(tmp_path)
    with pytest.raises(ValueError, match=r"'item_factors\.npy'.*'knn_indptr\.npy'.*expected the files of one model"):
        load_ranking_model(tmp_path)


@pytest.mark.parametrize("folder", [".", "absent"])
def test_a_folder_without_a_model_is_refused(tmp_path, folder):
    with pytest.raises(FileNotFoundError, match=r"holds nothing; expected \['item_factors\.npy'"):
        load_ranking_model(tmp_path / folder)


def test_other_files_are_named_where_no_model_is(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(FileNotFoundError, match=r"holds \['notes\.txt'\]"):
        load_ranking_model(tmp_path)


def test_a_model_with_a_file_missing_is_refused(factors, tmp_path):
    factors.save(tmp_path)
    (tmp_path / "item_factors.npy").unlink()
    with pytest.raises(FileNotFoundError, match=r"item_factors\.npy"):
        load_ranking_model(tmp_path)
