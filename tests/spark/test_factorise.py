from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from pyspark.ml.recommendation import ALSModel
from pyspark.sql import SparkSession
from pyspark.sql import functions as sf

from models.als import AlsModel
from schema.histories import Histories
from spark import factorise as engine
from spark.factorise import Factorisation, factorise, factors_of, save_model
from storage.parquet import write_parquet

N_USERS, N_ITEMS = 60, 40


def parameters(**changed: Any) -> Factorisation:
    chosen = {"implicit": True, "rank": 4, "reg": 0.1, "alpha": 10.0, "maxiter": 3, "n_blocks": 2}
    return Factorisation.model_validate(chosen | changed)


def checkerboard() -> pa.Table:
    """Even users have even items and odd ones odd: rating 5 inside, but for one withheld item per user."""
    users, items = np.divmod(np.arange(N_USERS * N_ITEMS), N_ITEMS)
    is_kept = (users % 2 == items % 2) & (items != withheld(users))
    users, items = users[is_kept], items[is_kept]
    ratings = np.where(items < N_ITEMS // 2, 5.0, 1.0)
    names = ["user_idx", "item_idx", "rating", "timestamp"]
    columns = (users.astype("int32"), items.astype("int32"), ratings.astype("float32"), users.astype("int64"))
    return pa.table(list(columns), names=names)


def withheld(users: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.asarray((users * 7) % (N_ITEMS // 2) * 2 + users % 2)


def write(table: pa.Table, path: Path) -> str:
    pq.write_table(table, path)
    return path.as_uri()


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def train(tmp_path: Path) -> str:
    return write(checkerboard(), tmp_path / "train.parquet")


@pytest.fixture(scope="module")
def usual(session: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> npt.NDArray[np.float32]:
    """The user factors that the usual parameters give."""
    train = write(checkerboard(), tmp_path_factory.mktemp("usual") / "train.parquet")
    users, _ = factors_of(factorise(session, [train], parameters()), N_USERS, N_ITEMS)
    return users


def test_implicit_als_ranks_each_users_withheld_item_first(session, train):
    users, items = factors_of(factorise(session, [train], parameters(maxiter=10)), N_USERS, N_ITEMS)
    scores = users @ items.T
    seen = checkerboard()
    scores[seen["user_idx"].to_numpy(), seen["item_idx"].to_numpy()] = -np.inf
    np.testing.assert_array_equal(scores.argmax(axis=1), withheld(np.arange(N_USERS)))


def test_explicit_als_learns_the_ratings(session, train):
    model = factorise(session, [train], parameters(implicit=False, reg=0.01, maxiter=10))
    users, items = factors_of(model, N_USERS, N_ITEMS)
    seen = checkerboard()
    predicted = (users[seen["user_idx"].to_numpy()] * items[seen["item_idx"].to_numpy()]).sum(axis=1)
    np.testing.assert_allclose(predicted, seen["rating"].to_numpy(), atol=0.1)


def test_factors_are_float32_matrices_with_zeros_for_what_was_not_trained(session, train):
    users, items = factors_of(factorise(session, [train], parameters()), N_USERS + 2, N_ITEMS + 1)
    assert (users.shape, items.shape) == ((N_USERS + 2, 4), (N_ITEMS + 1, 4))
    assert users.dtype == items.dtype == np.float32
    assert users.flags.c_contiguous
    assert users[:N_USERS].any(axis=1).all()
    assert not users[N_USERS:].any()
    assert not items[N_ITEMS:].any()


def test_factors_do_not_depend_on_how_many_are_fetched_at_once(session, train, monkeypatch):
    model = factorise(session, [train], parameters())
    whole = factors_of(model, N_USERS, N_ITEMS)
    monkeypatch.setattr(engine, "SLICE_BYTES", 4 * 4 * 17)  # 17 rows of rank 4
    for sliced, expected in zip(factors_of(model, N_USERS, N_ITEMS), whole, strict=True):
        np.testing.assert_array_equal(sliced, expected)


def cut(table: pa.Table, folder: Path) -> list[str]:
    """Write the rows in another order as three files whose names do not follow it either."""
    shuffled = table.take(np.random.default_rng(3).permutation(table.num_rows))
    third = -(-table.num_rows // 3)
    return [write(shuffled.slice(n * third, third), folder / f"{9 - n}.parquet") for n in range(3)]


def test_als_meets_the_same_rows_in_the_same_order_however_they_are_cut(session, train, tmp_path):
    met = [
        engine._ratings(session.read.parquet(*paths), parameters(), 2).select("*", sf.spark_partition_id()).collect()
        for paths in ([train], cut(checkerboard(), tmp_path))
    ]
    assert len(met[0]) == checkerboard().num_rows
    assert met[0] == met[1]


def test_few_rows_are_one_block_unless_it_is_said(session, train, tmp_path):
    for name, n_blocks in (("default", None), ("one", 1), ("two", 2)):
        save_model(factorise(session, [train], parameters(n_blocks=n_blocks)), tmp_path / name, write_parquet)
    assert digests(tmp_path / "default") == digests(tmp_path / "one") != digests(tmp_path / "two")


@pytest.mark.parametrize("implicit", [True, False])
def test_the_same_interactions_give_the_same_bytes_however_they_are_cut(session, train, tmp_path, implicit):
    parts = cut(checkerboard(), tmp_path)
    for name, paths in (("whole", [train]), ("again", [train]), ("parts", parts)):
        save_model(factorise(session, paths, parameters(implicit=implicit, n_blocks=4)), tmp_path / name, write_parquet)
    assert digests(tmp_path / "whole") == digests(tmp_path / "again") == digests(tmp_path / "parts")


@pytest.mark.parametrize(
    "changed",
    [
        {"rank": 5},
        {"reg": 0.5},
        {"alpha": 1.0},
        {"maxiter": 1},
        {"seed": 1},
        {"implicit": False},
        {"confidence": "ratings"},
    ],
)
def test_each_parameter_is_obeyed(session, train, usual, changed):
    other, _ = factors_of(factorise(session, [train], parameters(**changed)), N_USERS, N_ITEMS)
    assert usual.shape != other.shape or not np.allclose(usual, other)


@pytest.mark.parametrize(
    ("implicit", "confidence"), [(True, "interactions"), (True, "ratings"), (True, "recency"), (False, "interactions")]
)
def test_fold_in_gives_each_user_the_factors_that_spark_gave(session, tmp_path, implicit, confidence):
    """Spark finds the users' factors last in an iteration, from the items' factors that are published."""
    table = checkerboard()
    days = pa.compute.multiply(pa.compute.multiply(table["item_idx"].cast(pa.int64()), 86_400), 3)
    table = table.set_column(3, "timestamp", pa.compute.add(days, table["timestamp"]))
    chosen = parameters(implicit=implicit, rank=5, reg=0.3, confidence=confidence, half_life_days=20)
    factors = factors_of(factorise(session, [write(table, tmp_path / "timed.parquet")], chosen), N_USERS, N_ITEMS)
    weights = {"confidence": confidence, "half_life_days": chosen.half_life_days}
    model = AlsModel(*factors, implicit=implicit, reg=chosen.reg, alpha=chosen.alpha, **weights)
    histories = Histories.from_columns(*(table[name].to_numpy() for name in table.column_names), N_USERS)
    items = histories.items
    np.testing.assert_allclose(
        model.fold_in(histories), model.user_factors, rtol=1e-4, atol=1e-4 * np.abs(factors[0]).max()
    )

    ranked, scores = model.rank_histories(histories, items, 3)
    np.testing.assert_allclose(scores, model.rank(np.arange(N_USERS), items, 3)[1], rtol=1e-4)
    for user in range(N_USERS):
        person = histories.take(np.array([user]))
        reasons = model.explain(person, ranked[user])
        np.testing.assert_allclose(reasons.sum(axis=1), scores[user], rtol=1e-5, atol=1e-7)  # scores are about 1


def test_saved_model_is_loaded_by_spark_with_the_same_factors(session, train, tmp_path):
    model = factorise(session, [train], parameters())
    save_model(model, tmp_path / "als_model", write_parquet)
    loaded = ALSModel.load(str(tmp_path / "als_model"))
    assert loaded.rank == 4
    for one, other in zip(factors_of(loaded, N_USERS, N_ITEMS), factors_of(model, N_USERS, N_ITEMS), strict=True):
        np.testing.assert_array_equal(one, other)


def test_save_model_replaces_a_model_and_leaves_only_its_files(session, train, tmp_path):
    save_model(factorise(session, [train], parameters(n_blocks=3)), tmp_path / "als_model", write_parquet)
    save_model(factorise(session, [train], parameters(n_blocks=2)), tmp_path / "als_model", write_parquet)
    assert list(digests(tmp_path / "als_model")) == [
        "itemFactors/part-00000.parquet",
        "itemFactors/part-00001.parquet",
        "metadata/part-00000",
        "userFactors/part-00000.parquet",
        "userFactors/part-00001.parquet",
    ]


def test_no_file_of_a_saved_model_shows_which_jvm_wrote_it(session, train, tmp_path):
    """Spark's writer lists a column's encodings in the order of a hash set, which each JVM seeds anew."""
    save_model(factorise(session, [train], parameters()), tmp_path / "als_model", write_parquet)
    writers = {pq.read_metadata(path).created_by for path in (tmp_path / "als_model").rglob("*.parquet")}
    assert [writer.startswith("parquet-cpp-arrow") for writer in writers] == [True]


def test_explicit_fit_refuses_interactions_without_ratings(session, tmp_path):
    table = checkerboard().slice(0, 3).set_column(2, "rating", pa.array([5.0, None, None], pa.float32()))
    unrated = write(table, tmp_path / "unrated.parquet")
    with pytest.raises(ValueError, match=r"2 of 3 interactions in .* have no rating; .* implicit=True"):
        factorise(session, [unrated], parameters(implicit=False))
    assert factorise(session, [unrated], parameters()).rank == 4


@pytest.mark.parametrize(
    ("confidence", "changed", "message"),
    [
        ("ratings", {"rating": [5.0, None, 1.0]}, r"1 of 3 interactions in .* have no rating; confidence 'ratings'"),
        ("recency", {"timestamp": [None, None, 7]}, r"2 of 3 interactions in .* have no timestamp; .* 'recency'"),
        ("ratings", {"rating": [5.0, 0.0, 1.0]}, r"1 of 3 interactions in .* have a confidence of 0 or less"),
    ],
)
def test_implicit_fit_refuses_interactions_without_what_its_confidence_is_made_of(
    session, tmp_path, confidence, changed, message
):
    table = checkerboard().slice(0, 3)
    [(name, values)] = changed.items()
    place = table.schema.get_field_index(name)
    path = write(table.set_column(place, name, pa.array(values, table.schema.field(name).type)), tmp_path / "x.parquet")
    with pytest.raises(ValueError, match=message):
        factorise(session, [path], parameters(confidence=confidence))


def test_fit_until_a_moment_is_that_of_the_rows_before_it(session, train, tmp_path):
    before = write(checkerboard().filter(pc.field("timestamp") < 30), tmp_path / "before.parquet")
    until = factors_of(factorise(session, [train], parameters(), until=30), N_USERS, N_ITEMS)
    for one, other in zip(until, factors_of(factorise(session, [before], parameters()), N_USERS, N_ITEMS), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not until[0][30:].any()


def test_fit_refuses_no_interactions(session, tmp_path):
    with pytest.raises(ValueError, match="hold 0 interactions"):
        factorise(session, [write(checkerboard().slice(0, 0), tmp_path / "empty.parquet")], parameters())
