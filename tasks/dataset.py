"""Build a dataset from reviews with Spark, and split it; each is published before anything uses it."""

from collections.abc import Mapping
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from loguru import logger
from numpy.typing import NDArray
from prefect import task
from prefect.artifacts import create_table_artifact

import spark.dataset
from evaluation.options import SplitOptions
from evaluation.splits import CORE_BEFORE_TEST, NamedPairs, share_to_evaluate, split_interactions
from evaluation.time_order import LARGEST_DAY, LEAST_DAYS, LEAST_SHARE, judge_time_order
from reports.split_notes import say_core
from reviews.side_files import read_pairs
from schema.columns import Columns
from schema.dataset import DatasetCounts, KCorePass
from schema.errors import InvalidInput
from schema.items_by_user import pair_keys
from spark.options import DatasetOptions, SparkOptions
from storage import layout
from storage.manifest import Manifest
from storage.parquet import write_parquet
from tasks.attributes import PRODUCTS, add_new_items, write_attributes
from tasks.execution import COMPUTE_RETRIES, open_spark, spark_uri
from tasks.ingest import raw_file
from tasks.options import PlaceOptions
from tasks.store import PART_FILES, publish_once, read_table, write_record

SPLIT_FILES = {f"{part}_file": f"split_{part}_file" for part in PART_FILES}


@task(name="build dataset", task_run_name="build dataset of reviews {reviews.id}", **COMPUTE_RETRIES)
def build_dataset(
    places: PlaceOptions,
    reviews: Manifest,
    options: DatasetOptions,
    spark_options: SparkOptions,
    products: Manifest | None = None,
) -> Manifest:
    """Publish the interactions of the reviews: one of each pair, k-core, dense indices.

    New items that the raw products file describes, where they are asked for, come after all others.

    Raises:
        InvalidInput: If the k-core leaves nothing, saying what smaller k would leave, or if new items are asked for and
            there are no products.
    """
    sold = _require_products(products) if options.new_items == "on" else None

    def build(folder: Path) -> dict[str, Any]:
        with open_spark(spark_options, places, "build dataset") as session:
            path = spark_uri(places, reviews, layout.REVIEWS)
            counts = spark.dataset.build_dataset(session, path, folder, options, write_parquet, _log_pass)
        _require_interactions(counts, options.min_interactions)
        if counts.n_duplicates:
            share = counts.n_duplicates / counts.n_sampled
            logger.info("{:.1%} of reviews repeat a pair of user and item; the {} counts", share, options.repeats)
        flat = asdict(counts)
        passes, _ = flat.pop("passes"), flat.pop("left_by_k")
        write_record(folder / layout.K_CORE, {"passes": passes})
        create_table_artifact(list(passes), key="k-core", description="What each pass of the k-core left")
        if sold:
            flat["n_new_items"] = add_new_items(places, sold, folder)
            flat["n_items"] += flat["n_new_items"]
        return flat | {name: reviews.counts[name] for name in ("has_ratings", "has_timestamps")}

    inputs = {"reviews": reviews.id} | ({PRODUCTS: sold.id} if sold else {})
    parameters = options.model_dump(mode="json")
    return publish_once(places, layout.DATASETS, inputs=inputs, parameters=parameters, build=build)


def _require_products(products: Manifest | None) -> Manifest:
    if products is None:
        raise InvalidInput("--new-items on needs --products, which says what they are; found none. Name the file.")
    return products


def _log_pass(core: KCorePass) -> None:
    logger.info("k-core pass {}: {:,} users, {:,} items, {:,} interactions", *astuple(core))


def _require_interactions(counts: DatasetCounts, k: int) -> None:
    """Raise InvalidInput if nothing is left, naming what each smaller k would leave."""
    if counts.n_interactions:
        return
    left = "; ".join(
        f"k={smaller} would leave {rows:,} interactions of {users:,} users and {items:,} items"
        for smaller, (users, items, rows) in sorted(counts.left_by_k.items(), reverse=True)
    )
    raise InvalidInput(
        f"The {k}-core of {counts.n_reviews:,} reviews is empty: no set of users and items has at least {k} "
        f"interactions each. {left or 'No smaller k leaves more'}. "
        "Choose a smaller --min-interactions, or bring more reviews."
    )


@task(name="split", task_run_name="split dataset {dataset.id}", **COMPUTE_RETRIES)
def split_dataset(
    places: PlaceOptions,
    dataset: Manifest,
    options: SplitOptions,
    files: Mapping[str, Manifest] | None = None,
    products: Manifest | None = None,
) -> Manifest:
    """Publish train, validation and test, and what products say of items.

    Args:
        places: The store.
        dataset: What is split.
        options: How.
        files: The raw files of a split by files: ``train_file`` and so on.
        products: The raw products file, which models may learn from too.

    Raises:
        InvalidInput: If the data cannot be split so, for want of timestamps or of rows.
    """

    def build(folder: Path) -> dict[str, Any]:
        interactions, k = read_table(places, dataset, layout.INTERACTIONS), core_of(dataset)
        try:
            named = _named_pairs(places, dataset, files or {})
            parts = split_interactions(interactions, options, named, min_interactions=k)
        except ValueError as error:
            raise InvalidInput(str(error)) from error
        for part, name in PART_FILES.items():
            write_parquet([getattr(parts, part)], folder / name, interactions.schema)
        if parts.counts.n_outside_core:
            write_parquet([parts.outside], folder / layout.OUTSIDE_CORE, interactions.schema)
        counts = asdict(parts.counts)
        described = {"n_items_described": write_attributes(places, dataset, products, folder)} if products else {}
        sizes = {f"{part}_{name}": value for part in PART_FILES for name, value in counts.pop(part).items()}
        _log_split(counts, sizes, dataset)
        if options.split_core is None and counts["core"] == "all" and counts["method"] in CORE_BEFORE_TEST and k > 1:
            logger.warning(
                "The {}-core is of all rows, those of the test part too, which flatters: that of the rows before would "
                "leave less than half of the test part. --split-core before-test takes it all the same.",
                k,
            )
        if options.split is None and counts["method"] == "leave-last":
            _say_why_not_rolling(interactions, options.rolling_share)
        carried = ("n_users", "n_items", "has_ratings", "has_timestamps")
        return counts | sizes | described | {name: dataset.counts[name] for name in carried}

    sold = {PRODUCTS: products} if products else {}
    return publish_once(
        places,
        layout.SPLITS,
        inputs={"dataset": dataset.id, **{role: raw.id for role, raw in {**(files or {}), **sold}.items()}},
        parameters=options.model_dump(mode="json", exclude=set(SPLIT_FILES.values())),
        build=build,
    )


def core_of(dataset: Manifest) -> int:
    """Return the k of the k-core that a dataset is."""
    return int(str(dataset.parameters.get("min_interactions", 1)))


def _named_pairs(places: PlaceOptions, dataset: Manifest, files: Mapping[str, Manifest]) -> NamedPairs | None:
    """Return the pairs that the files name; ids that the dataset does not know are counted and left out."""
    if not files.keys() >= {"validation_file", "test_file"}:
        return None
    keys = {role: _pair_keys(places, dataset, raw) for role, raw in files.items()}
    return NamedPairs(keys.get("train_file"), keys["validation_file"], keys["test_file"])


def _pair_keys(places: PlaceOptions, dataset: Manifest, raw: Manifest) -> NDArray[np.int64]:
    _, user_idx, item_idx = read_indices(places, dataset, raw)
    is_known = (user_idx >= 0) & (item_idx >= 0)
    if not is_known.all():
        counts = (raw.files[0].path, (~is_known).sum(), len(is_known))
        logger.warning("{}: {:,} of {:,} rows name a user or an item that is not in the dataset", *counts)
    return pair_keys(user_idx[is_known], item_idx[is_known])


def read_indices(
    places: PlaceOptions, dataset: Manifest, raw: Manifest
) -> tuple[pa.Table, NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows of a raw file of pairs, and the user and item index of each; -1 for what the dataset lacks.

    Raises:
        InvalidInput: If the file cannot be read, or the dataset has none of its users or none of its items.
    """
    path = raw_file(places, raw)
    pairs = read_pairs(path)
    for warning in pairs.warnings:
        logger.warning("{}: {}", path.name, warning)
    ids = pairs.table
    user_idx = _indices(read_table(places, dataset, layout.USER_MAP), Columns.USER_ID, Columns.USER_IDX, ids)
    item_idx = _indices(read_table(places, dataset, layout.ITEM_MAP), Columns.ITEM_ID, Columns.ITEM_IDX, ids)
    for column, index in ((Columns.USER_ID, user_idx), (Columns.ITEM_ID, item_idx)):
        if (index < 0).all():
            raise InvalidInput(
                f"{path.name}: no {column} of its {len(ids):,} rows is in the dataset, as {ids[column][0].as_py()!r}; "
                "expected ids of the reviews, of which the k-core may leave few. Check that they are spelt as there."
            )
    return ids, user_idx, item_idx


def _indices(known: pa.Table, column: str, index: str, ids: pa.Table) -> NDArray[np.int64]:
    place = pc.index_in(ids[column], value_set=known[column].combine_chunks())
    is_known = pc.is_valid(place).to_numpy()
    return np.where(is_known, known[index].to_numpy()[pc.fill_null(place, 0).to_numpy()], -1).astype(np.int64)


def _say_why_not_rolling(interactions: pa.Table, rolling_share: float) -> None:
    user_idx, timestamp = (np.asarray(interactions[name]) for name in (Columns.USER_IDX, Columns.TIMESTAMP))
    order = judge_time_order(user_idx, timestamp)
    logger.warning(
        "The split is leave-last and not rolling, since timestamps say too little of the order: {:.0%} of interactions "
        "come after an earlier day of their user, and {:.0%} in validation or test of a rolling split (expected {:.0%} "
        "or more of both), on {:,} days ({} or more), one of which has {:.0%} of them ({:.0%} at most). "
        "--split rolling makes it rolling nevertheless",
        order.share_with_past,
        share_to_evaluate(user_idx, timestamp, rolling_share),
        LEAST_SHARE,
        order.n_days,
        LEAST_DAYS,
        order.largest_day,
        LARGEST_DAY,
    )


def _log_split(counts: Mapping[str, Any], sizes: Mapping[str, int], dataset: Manifest) -> None:
    missing = [name for name in ("ratings", "timestamps") if not dataset.counts[f"has_{name}"]]
    parts = ", ".join(f"{sizes[f'{part}_n_rows']:,} {part}" for part in PART_FILES)
    without = f"; the input has no {' and no '.join(missing)}" if missing else ""
    logger.bind(in_short=True).info("Split {}: {} interactions{}", counts["method"], parts, without)
    logger.info(say_core(core_of(dataset), counts["core"], counts["n_outside_core"]))
