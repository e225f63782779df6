"""A bundle is the same when it is loaded, and one that would point anywhere is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import sample_bundle

from schema.bundle import Bundle

PATHS = ("histories_items", "histories_indptr", "rating", "timestamp", "first_seen", "popular", "lists_items")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    one = sample_bundle.candidate()
    fitted = one.kind.fit(sample_bundle.interactions(), one.parameters)
    sample_bundle.make_bundle("6666aaaa", one, fitted).save(folder)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "bundle"))


def test_a_bundle_that_was_saved_is_the_same_when_it_is_loaded(saved: Path, tmp_path: Path) -> None:
    Bundle.load(saved).save(tmp_path)
    names = sorted(path.name for path in saved.iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert [name for name in names if (saved / name).read_bytes() != (tmp_path / name).read_bytes()] == []


def test_what_is_loaded_is_mapped_and_says_of_each_item_what_was_saved(saved: Path) -> None:
    bundle = Bundle.load(saved)
    assert isinstance(bundle.histories.items.base, np.memmap)
    assert (bundle.item_ids[4], bundle.titles[4]) == ("item-04", "Kestrel product no. 4")
    assert (bundle.brands.of_item(4), bundle.categories.of_item(4)) == (["Kestrel"], ["Electronics", "Cameras"])
    assert list(bundle.popular) == ["popularity", "recent-popularity"]


def change(folder: Path, name: str, row: int, value: float) -> None:
    array = np.load(folder / f"{name}.npy")
    array.flat[row] = value
    np.save(folder / f"{name}.npy", array)


@pytest.mark.parametrize(
    ("name", "row", "value", "message"),
    [
        ("histories_items", 0, -1, "indices from -1"),
        ("histories_items", 0, 30, "from 1 to 30|from 0 to 30"),
        ("histories_items", 1, 0, "does not ascend"),
        ("histories_indptr", 0, 1, "runs from 1"),
        ("histories_indptr", 3, -1, "never falling"),
        ("histories_indptr", 40, 10**12, "1000000000000"),
        ("rating", 0, np.inf, "rating holds an infinity"),
        ("popular", 3, np.nan, "popularity holds NaN"),
        ("lists_items", 5, 30, "from .* to 30; expected -1 to 29"),
        ("lists_items", 0, -1, "an item after none"),
        ("lists_scores", 0, np.nan, "NaN or infinity beside an item"),
        ("brands_items", 2, 3, "brands_items has indices from 0 to 3"),
        ("categories_indptr", 1, 99, "never falling"),
        ("titles_ends", 30, 3, "titles: ends runs"),
    ],
)
def test_an_index_that_points_elsewhere_or_a_value_that_is_none_is_refused(
    folder: Path, name: str, row: int, value: float, message: str
) -> None:
    change(folder, name, row, value)
    with pytest.raises(ValueError, match=message):
        Bundle.load(folder)


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize(
    "make",
    [
        lambda array: array[:-1],
        lambda array: array[None],
        lambda array: array.astype(np.float64 if array.dtype != np.float64 else np.int8),
        lambda array: array.astype(array.dtype.newbyteorder(">")),
        lambda array: array.astype(object),
    ],
    ids=["shorter", "deeper", "wider", "big-endian", "objects"],
)
def test_an_array_of_another_length_shape_or_type_is_refused(folder: Path, name: str, make) -> None:
    np.save(folder / f"{name}.npy", make(np.load(folder / f"{name}.npy")), allow_pickle=True)
    with pytest.raises(ValueError, match=r"expected|Object arrays|Python objects"):
        Bundle.load(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "is of format 2; expected 1"),
        ({"model_id": 3}, "model_id: Input should be a valid string"),
        ({"surprise": 1}, "surprise: Extra inputs"),
        ({"popular": ["popularity"]}, "popular has 2 entries; expected 1"),
        ({"popular": ["a", "a"]}, "popular has .'a'.; expected"),
        ({"metrics": [{"model": "x"}]}, r"metrics\.0\."),
        ({"lineage": [{"id": "x"}]}, r"lineage\.0\."),
        ({"counts": {"n": float("inf")}}, "no JSON that can be sent on"),
        ({"label": "\ud800"}, "no JSON that can be sent on"),
        ({"counts": {"n": 10**30}}, "a number of 31 digits"),
    ],
)
def test_a_record_that_says_what_none_should_is_refused(folder: Path, changes, message: str) -> None:
    about = json.loads((folder / "bundle.json").read_bytes())
    (folder / "bundle.json").write_text(json.dumps(about | changes))
    with pytest.raises(ValueError, match=message):
        Bundle.load(folder)


@pytest.mark.parametrize("text", [b"", b"[]", b"\xff", b'{"a":' * 100_000, b'{"a": 1e999}', b"null"])
def test_a_record_that_is_no_object_is_refused(folder: Path, text: bytes) -> None:
    (folder / "bundle.json").write_bytes(text)
    with pytest.raises(ValueError, match=r"bundle\.json"):
        Bundle.load(folder)


def test_files_with_any_byte_changed_are_refused_or_read_within_bounds(folder: Path, saved: Path) -> None:
    """Also headers: whatever a file says of itself, nothing but ValueError may come of it."""
    rng = np.random.default_rng(3)
    names = sorted(path.name for path in folder.iterdir())
    n_refused = 0
    for _ in range(300):
        name = names[rng.integers(len(names))]
        data = np.frombuffer((saved / name).read_bytes(), np.uint8).copy()
        data[rng.integers(0, min(len(data), 200), rng.integers(1, 5))] = rng.integers(256)
        (folder / name).write_bytes(data[: rng.choice([len(data), rng.integers(len(data))])].tobytes())
        try:
            read_all(Bundle.load(folder))
        except ValueError:
            n_refused += 1
        (folder / name).write_bytes((saved / name).read_bytes())
    assert n_refused > 200


def read_all(bundle: Bundle) -> None:
    """Read as a request does, at every index."""
    assert bundle.histories.items.max() < bundle.n_items
    for item in range(bundle.n_items):
        assert bundle.brands.of_item(item) is not None
        assert bundle.categories.of_item(item) is not None
        bundle.titles[item].encode()
        bundle.item_ids.find(bundle.item_ids[item])
    for user in range(bundle.n_users):
        assert bundle.user_ids[user].encode() is not None
