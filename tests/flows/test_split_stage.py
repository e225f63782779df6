from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from loguru import logger
from sample_artifacts import publish_folder

from evaluation.options import SplitOptions
from flows import assessment
from flows.assessment import split_for_lists
from flows.pipeline import split_as_asked
from flows.settings import Environment, read
from models.original import SPLIT
from models.registry import KINDS, ModelOptions
from reviews.options import IngestOptions
from spark.options import DatasetOptions
from storage import layout
from storage.manifest import Manifest
from storage.parquet import write_parquet
from tasks.dataset import split_dataset
from tasks.model import Lineage
from tasks.options import EvaluationOptions, PlaceOptions, ReviewsInput
from tasks.rolling import later_cuts
from tasks.store import PART_FILES, read_table

DAY = 86_400


@pytest.fixture
def places(tmp_path: Path) -> PlaceOptions:
    return PlaceOptions(store_uri=str(tmp_path / "store"), work_dir=tmp_path / "work")


@pytest.fixture
def dataset(places: PlaceOptions, tmp_path: Path) -> Manifest:
    """Six users with five interactions each, one a day, users in step."""
    rows = pa.table(
        {
            "user_idx": np.repeat(np.arange(6, dtype=np.int32), 5),
            "item_idx": np.tile(np.arange(5, dtype=np.int32), 6),
            "rating": np.full(30, 5, dtype=np.float32),
            "timestamp": np.tile(np.arange(5) * DAY, 6),
        }
    )
    folder = tmp_path / "dataset"
    folder.mkdir()
    write_parquet([rows], folder / layout.INTERACTIONS, rows.schema)
    for name, column, n in ((layout.USER_MAP, "user", 6), (layout.ITEM_MAP, "item", 5)):
        ids = {f"{column}_idx": np.arange(n, dtype=np.int32), f"{column}_id": [f"{column[0]}{i}" for i in range(n)]}
        table = pa.table(ids)
        write_parquet([table], folder / name, table.schema)
    counts = {"n_users": 6, "n_items": 5, "has_ratings": True, "has_timestamps": True}
    return publish_folder(places.open_store(), folder, layout.DATASETS, "0" * 16, counts=counts)


@pytest.mark.parametrize(
    ("flags", "n_test", "n_validation"),
    [
        ({"leave_last_n": "2"}, 12, 12),
        ({"split": "time", "split_at": "1970-01-05"}, 6, 0),
        ({"split": "time", "split_at": "1970-01-03", "validation_share": "0.5"}, 18, 6),
    ],
)
def test_leave_last_n_and_split_at_decide_the_split(flags, n_test, n_validation, places, dataset, prefect_api):
    if not n_validation:
        flags |= {"validation_share": "0.3"}
        n_validation = 6
    options = read(SplitOptions, flags)
    split = split_dataset(places, dataset, options)
    assert read_table(places, split, layout.TEST).num_rows == n_test
    assert read_table(places, split, layout.VALIDATION).num_rows == n_validation


def test_rolling_share_and_refits_decide_the_parts_and_the_fits(places, dataset, prefect_api):
    options = read(SplitOptions, {"split": "rolling", "rolling_share": "0.4", "rolling_refits": "2"})
    split = split_dataset(places, dataset, options)
    days = {part: set(days_of(places, split, name)) for part, name in PART_FILES.items()}
    assert days == {"train": {0}, "validation": {1, 2}, "test": {3, 4}}
    costly = KINDS["ials"]
    assert [later_cuts(places, split, part, costly) for part in ("validation", "test")] == [[2 * DAY], [4 * DAY]]


def test_the_log_says_why_a_split_is_not_rolling(places, dataset):
    said: list[str] = []
    sink = logger.add(said.append, format="{message}")
    split_dataset.fn(places, dataset, SplitOptions())
    logger.remove(sink)
    [why] = [line for line in said if "not rolling" in line]
    assert "80% of interactions come after an earlier day of their user, and 0% in validation or test" in why


def test_lists_from_elsewhere_are_tested_on_another_split_unless_one_is_named(places, dataset, prefect_api):
    asked = SplitOptions(split="rolling", rolling_share=0.4)
    rolling = Lineage(dataset, dataset, dataset, split_dataset(places, dataset, asked))
    assert split_for_lists(places, rolling, SplitOptions()).split.counts["method"] == "leave-last"
    assert split_for_lists(places, rolling, asked) == rolling
    set_besides = SplitOptions(rolling_share=0.4, rolling_refits=2)
    assert split_for_lists(places, rolling, set_besides).split.counts["method"] == "leave-last"


@pytest.mark.parametrize("sold", [None, "products"])
def test_evaluations_leave_out_options_of_other_splits_and_new_items_of_which_no_product_is_known(sold, monkeypatch):
    asked = []
    monkeypatch.setattr(assessment, "make_split", lambda *about, products: asked.append((*about[3:], products)))
    split, new_items = SplitOptions(rolling_share=0.4, leave_last_n=2), DatasetOptions(new_items="on")
    about = ReviewsInput(), IngestOptions(), new_items, split, ModelOptions(), EvaluationOptions()
    made = assessment.Assessment(Environment(), *about)
    made._make_split(products=sold)
    assert asked == [(new_items if sold else DatasetOptions(), split, sold)]
    with pytest.raises(AttributeError):  # there is no lineage to go on with
        made.of_original()
    assert asked[1][1] == SplitOptions(**SPLIT)


@pytest.mark.parametrize(
    ("flags", "days"),
    [
        ({"split_at": "1970-01-05", "split_gap_days": "1"}, {"train": {0}, "validation": {2}, "test": {4}}),
        ({"split_at": "1970-01-04", "split_until": "1970-01-05"}, {"train": {0, 1}, "validation": {2}, "test": {3}}),
    ],
)
def test_gap_and_end_of_a_time_split_leave_rows_out(flags, days, places, dataset, prefect_api):
    options = read(SplitOptions, {"split": "time", "validation_share": "0.4", **flags})
    split = split_dataset(places, dataset, options)
    assert {part: set(days_of(places, split, name)) for part, name in PART_FILES.items()} == days
    assert split.count("n_left_out") == 30 - 6 * sum(map(len, days.values()))


def test_files_say_what_is_held_out_and_pairs_in_two_of_them_are_a_leak(places, dataset, tmp_path, prefect_api):
    pairs = {
        "train": "user_id,item_id\nu0,i0\nu1,i1\n",
        "validation": "user_id,item_id\nu0,i1\nu1,i1\nu9,i0\n",  # u1 and i1 are in train as well, u9 is nobody
        "test": "user\titem\nu0\ti2\n",
    }
    options = {}
    for part, text in pairs.items():
        (tmp_path / f"{part}.csv").write_text(text)
        options[f"split_{part}_file"] = str(tmp_path / f"{part}.csv")
    split = split_as_asked(places, dataset, read(SplitOptions, {"split": "files", **options}))
    held = {part: read_table(places, split, name).num_rows for part, name in PART_FILES.items()}
    assert held == {"train": 2, "validation": 1, "test": 1}
    assert (split.counts["n_leaked"], split.counts["n_left_out"]) == (1, 26)
    assert split.inputs.keys() == {"dataset", "train_file", "validation_file", "test_file"}


def days_of(places: PlaceOptions, split: Manifest, name: str) -> list[int]:
    return (np.asarray(read_table(places, split, name)["timestamp"]) // DAY).tolist()
