"""The k-core of a split: what is tested does without the rows outside it, and what is published has them."""

from dataclasses import replace
from pathlib import Path

import pytest
from loguru import logger
from sample_artifacts import publish_dataset

from evaluation.options import SplitOptions
from schema.errors import InvalidInput
from storage import layout
from storage.manifest import Manifest
from tasks.dataset import split_dataset
from tasks.options import PlaceOptions
from tasks.store import LEARNT, PART_FILES, all_parts, read_parts, read_table

BEFORE_TEST = SplitOptions(split="leave-last", split_core="before-test")


@pytest.fixture
def places(tmp_path: Path) -> PlaceOptions:
    return PlaceOptions(store_uri=str(tmp_path / "store"), work_dir=tmp_path / "work")


@pytest.fixture
def dataset(places: PlaceOptions, tmp_path: Path) -> Manifest:
    return publish_dataset(places.open_store(), tmp_path / "dataset")


def of_core(dataset: Manifest, k: int) -> Manifest:
    return replace(dataset, parameters={"min_interactions": k})


def test_what_is_outside_the_core_before_test_is_learnt_by_the_published_model_alone(places, dataset):
    said: list[str] = []
    sink = logger.add(said.append, format="{message}")
    split = split_dataset.fn(places, of_core(dataset, 6), BEFORE_TEST)
    logger.remove(sink)
    n_rows, n_outside = read_table(places, dataset, layout.INTERACTIONS).num_rows, split.count("n_outside_core")
    assert 0 < n_outside < n_rows / 2
    assert read_parts(places, split, all_parts(split)).num_rows == n_rows
    assert read_parts(places, split, (*LEARNT, "test")).num_rows == n_rows - n_outside
    assert f"The 6-core is of the rows before the test part and leaves out {n_outside:,} of them" in "".join(said)


def test_the_core_of_all_rows_is_the_usual_way_and_leaves_nothing_out(places, dataset):
    usual = split_dataset.fn(places, of_core(dataset, 6), SplitOptions(split="leave-last"))
    assert (usual.counts["core"], all_parts(usual)) == ("all", tuple(PART_FILES))
    assert len(usual.files) == len(PART_FILES)


def test_a_core_before_test_that_is_empty_is_refused_with_what_to_do(places, dataset):
    with pytest.raises(InvalidInput, match=r"the 8-core of the 840 rows before the test part .*--split-core all"):
        split_dataset.fn(places, of_core(dataset, 8), BEFORE_TEST)
