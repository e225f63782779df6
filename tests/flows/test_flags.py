"""A flag that is accepted is obeyed: one proof for each, on a training in which nearly every flag has an odd value."""

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow.parquet as pq
import pytest
from workplace import ROOT, Outcome, Workplace

from evaluation.options import DriftLimits
from flows import evaluate, explore, ingest, promote, recommend, train
from flows.settings import Settings, flag_of, flat_fields, is_secret
from models.ease import EaseOptions
from models.ials import IalsOptions
from models.registry import ModelOptions
from reviews.sample import SampleFiles
from storage import layout
from storage.manifest import Manifest


@dataclass(frozen=True)
class Odd:
    """A training with odd settings and what came of it."""

    workplace: Workplace
    record: dict[str, Any]
    outcome: Outcome

    def artifact(self, kind: str, role: str) -> Manifest:
        """Return the manifest of an artifact of the training."""
        return next(m for m in self.workplace.manifests() if (m.kind, m.id) == (kind, self.record["ids"][role]))

    def path(self, kind: str, role: str, name: str) -> Path:
        """Return a file of an artifact of the training."""
        return self.workplace.folder / "store" / kind / str(self.record["ids"][role]) / name

    def fits(self, model: str) -> list[Manifest]:
        """Return the fits of one kind of model."""
        return [m for m in self.workplace.manifests() if m.kind == layout.FITS and m.parameters["model"] == model]


FLAGS = {
    "min_interactions": "3",
    "sample_fraction": "0.7",
    "sample_seed": "7",
    "repeats": "latest",
    "new_items": "on",
    "min_rating": "2",
    "max_rating": "4",
    "max_bad_share": "0.9",
    "latest_timestamp": "1400000000",
    "partition_bytes": "700000",
    "input_columns": "user=asin,item=reviewerID,rating=overall,timestamp=unixReviewTime",
    "split": "random",
    "test_share": "0.1",
    "validation_share": "0.3",
    "split_seed": "6",
    "split_core": "before-test",
    "search_kinds": "graph,ease,als-implicit,ials,blend",
    "als_rank": "4,6",
    "als_reg": "0.5",
    "als_alpha": "3",
    "als_confidence": "recency",
    "als_half_life_days": "90",
    "als_maxiter": "2",
    "curve_iterations": "1",
    "als_blocks": "2",
    "als_seed": "9",
    "als_engine": "spark",
    "blend": "item-graph=2",
    "ease_reg": "3",
    "ease_dropout": "0.4",
    "ease_user_damping": "0.6",
    "ease_source_damping": "0.1",
    "ease_target_damping": "0.2",
    "ease_neighbours": "9",
    "ease_memory_mb": "1",
    "ease_nearest": "7",
    "ease_user_items": "8",
    "ease_time": "off",
    "ease_backward": "0.3",
    "ease_gap_decay": "0.75",
    "ease_decay": "0.65",
    "ease_half_life_days": "40",
    "ease_room": "0.5",
    "ials_rank": "2",
    "ials_unseen": "7",
    "ials_reg": "0.2",
    "ials_damping": "0.1",
    "ials_sweeps": "1",
    "ials_decay": "0.6",
    "ials_half_life_days": "30",
    "ials_seed": "8",
    "popularity_half_life_days": "20",
    "graph_neighbours": "8",
    "graph_room": "0.25",
    "graph_time": "off",
    "graph_user_items": "9",
    "graph_engine": "spark",
    "knn_neighbours": "7",
    "knn_room": "0.75",
    "knn_shrinkage": "2",
    "select_by": "recall_10",
    "evaluate_users": "120",
    "item_damping": "3",
    "user_damping": "4",
    "top_n": "3",
    "recommend_block_users": "100",
    "mlflow_experiment": "Odd",
    "environment": "laboratory",
    "log_level": "WARNING",
}
NEURAL = {
    "search_kinds": f"{FLAGS['search_kinds']},neumf,neumf-explicit",
    "ncf_factors": "2",
    "ncf_layers": "1",
    "ncf_epochs": "2",
    "ncf_patience": "3",
    "ncf_held_back": "0.04",
    "ncf_negatives": "5",
    "ncf_batch": "512",
    "ncf_rate": "0.02",
    "ncf_decay": "0.1",
    "ncf_seed": "8",
    "ncf_device": "cpu",
}
HAS_TORCH = find_spec("torch") is not None


def as_flags(values: dict[str, str]) -> list[str]:
    flags: list[str] = []
    for name, value in values.items():
        flags += [flag_of(name, flat_fields(Settings)[name]), value]
    return flags


@pytest.fixture(scope="module")
def odd(new_workplace: Callable[[], Workplace], sample: SampleFiles) -> Odd:
    workplace = new_workplace()
    neural = NEURAL if HAS_TORCH else {}
    flags = as_flags(FLAGS | neural | {"mlflow_artifact_dir": str(workplace.folder / "artifacts")})
    target = workplace.folder / "result.json"
    inputs = ["--input", str(sample.reviews), "--products", str(sample.products)]
    outcome = workplace.run("train", *inputs, *flags, "--json", str(target))
    assert outcome.code == 0, outcome.stderr
    return Odd(workplace, json.loads(target.read_text()), outcome)


def als(odd: Odd, name: str) -> set[Any]:
    return {fit.parameters[name] for fit in odd.fits("als-implicit")}


def has_odd_value(odd: Odd, model: str, name: str) -> bool:
    return {float(fit.parameters[name]) for fit in odd.fits(model)} == {float(FLAGS[name])}


def neural(odd: Odd, name: str, value: Any) -> bool:
    """Tell whether both neural models were fitted so; the one of ratings needs no unknown items."""
    fits = odd.fits("neumf"), odd.fits("neumf-explicit")
    return all(fits) and {fit.parameters.get(name, value) for fit in (*fits[0], *fits[1])} == {value}


def reviews(odd: Odd, column: str) -> np.ndarray:
    return np.asarray(pq.read_table(odd.path(layout.REVIEWS_KIND, "reviews", layout.REVIEWS))[column])


def count(odd: Odd, stage: str, name: str) -> float:
    return float(odd.record["counts"][stage][name])


def ids(odd: Odd) -> Any:
    return pq.read_table(odd.path(layout.DATASETS, "dataset", layout.USER_MAP))["user_id"]


def shares(odd: Odd) -> tuple[float, float]:
    train, validation, test = (count(odd, "split", f"{part}_n_rows") for part in ("train", "validation", "test"))
    return test / (train + validation + test), validation / (train + validation)


def degrees(odd: Odd) -> int:
    rows = pq.read_table(odd.path(layout.DATASETS, "dataset", layout.INTERACTIONS)).to_pandas()
    return int(min(rows.groupby("user_idx").size().min(), rows.groupby("item_idx").size().min()))


def lists(odd: Odd) -> Path:
    return odd.path(layout.RECOMMENDATIONS, "recommendations", layout.LISTS)


def tracked(odd: Odd, *, is_experiment: bool = False) -> Any:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=odd.workplace.tracking_uri)
    run = client.get_run(odd.record["ids"]["mlflow_run"])
    return client.get_experiment(run.info.experiment_id) if is_experiment else run


def parameters(odd: Odd, kind: str, role: str, name: str) -> Any:
    return odd.artifact(kind, role).parameters[name]


def task_names(odd: Odd) -> set[str]:
    body = {"flow_runs": {"tags": {"all_": ["laboratory"]}}, "limit": 200}
    runs = httpx.post(f"{os.environ['PREFECT_API_URL']}/task_runs/filter", json=body).json()
    return {run["name"] for run in runs}


PROOFS: dict[str, Callable[[Odd], Any]] = {
    "input_reviews": lambda odd: "sample-reviews" in odd.artifact(layout.RAW, "raw").files[0].path,
    "input_products": lambda odd: "products" in odd.artifact(layout.REPORTS, "report").inputs,
    "input_columns": lambda odd: not str(ids(odd)[0]).startswith("ASAMPLE"),
    "min_rating": lambda odd: reviews(odd, "rating").min() == 2,
    "max_rating": lambda odd: reviews(odd, "rating").max() == 4,
    "max_bad_share": lambda odd: 0.05 < count(odd, "reviews", "n_quarantined") / count(odd, "reviews", "n_lines") < 0.9,
    "latest_timestamp": lambda odd: reviews(odd, "timestamp").max() <= 1_400_000_000,
    "partition_bytes": lambda odd: any(
        re.match(r"check user_id of partitions 0 to [1-9]", name) for name in task_names(odd)
    ),
    "min_interactions": lambda odd: 3 <= degrees(odd) < 5,
    "sample_fraction": lambda odd: 0.5 < count(odd, "dataset", "n_sampled") / count(odd, "dataset", "n_reviews") < 0.9,
    "sample_seed": lambda odd: parameters(odd, layout.DATASETS, "dataset", "sample_seed") == 7,
    "repeats": lambda odd: parameters(odd, layout.DATASETS, "dataset", "repeats") == "latest",
    "new_items": lambda odd: count(odd, "dataset", "n_new_items") > 100,  # items are people, so no product is known
    "split": lambda odd: odd.record["counts"]["split"]["method"] == "random",
    "test_share": lambda odd: abs(shares(odd)[0] - 0.1) < 0.01,
    "validation_share": lambda odd: abs(shares(odd)[1] - 0.3) < 0.01,
    "split_core": lambda odd: odd.record["counts"]["split"]["core"] == "before-test",
    "split_seed": lambda odd: parameters(odd, layout.SPLITS, "split", "split_seed") == 6,
    "search_kinds": lambda odd: odd.fits("ials") and not odd.fits("als-explicit"),
    "als_rank": lambda odd: als(odd, "rank") == {4, 6},
    "als_reg": lambda odd: als(odd, "reg") == {0.5},
    "als_alpha": lambda odd: als(odd, "alpha") == {3},
    "als_confidence": lambda odd: als(odd, "confidence") == {"recency"},
    "als_half_life_days": lambda odd: als(odd, "half_life_days") == {90},
    "als_maxiter": lambda odd: als(odd, "maxiter") == {1, 2},
    "curve_iterations": lambda odd: len(parameters(odd, layout.REPORTS, "report", "curve_scores")) == 2,
    "als_blocks": lambda odd: als(odd, "n_blocks") == {2},
    "als_seed": lambda odd: als(odd, "seed") == {9},
    "als_engine": lambda odd: als(odd, "engine") == {"spark"},
    **{
        name: partial(has_odd_value, model="ease", name=name)
        for name in EaseOptions.model_fields
        if name not in ("ease_time", "ease_room")
    },
    "ease_room": lambda odd: 0.5 in {fit.parameters["ease_room"] for fit in odd.fits("ease")},
    "ease_time": lambda odd: {fit.parameters["ease_time"] for fit in odd.fits("ease")} == {"off"},
    "blend": lambda odd: [2] in [[part["weight"] for part in one.parameters["shares"]] for one in odd.fits("blend")],
    **{name: partial(has_odd_value, model="ials", name=name) for name in IalsOptions.model_fields},
    "popularity_half_life_days": lambda odd: (
        [fit.parameters["popularity_half_life_days"] for fit in odd.fits("recent-popularity")] == [20, 20]
    ),
    "graph_neighbours": lambda odd: 8 in {fit.parameters["neighbours"] for fit in odd.fits("item-graph")},
    "graph_room": lambda odd: 0.25 in {fit.parameters["room"] for fit in odd.fits("item-graph")},
    "graph_time": lambda odd: "off" in {fit.parameters["time"] for fit in odd.fits("item-graph")},
    "graph_user_items": lambda odd: 9 in {fit.parameters["user_items"] for fit in odd.fits("item-graph")},
    "graph_engine": lambda odd: (  # Spark was opened
        {"blas" in fit.counts for fit in odd.fits("item-graph") if fit.parameters.get("engine") == "spark"} == {True}
    ),
    "knn_neighbours": lambda odd: {fit.parameters["knn_neighbours"] for fit in odd.fits("item-knn")} == {7},
    "knn_room": lambda odd: 0.75 in {fit.parameters["knn_room"] for fit in odd.fits("item-knn")},
    "knn_shrinkage": lambda odd: {fit.parameters["knn_shrinkage"] for fit in odd.fits("item-knn")} == {2},
    "select_by": lambda odd: parameters(odd, layout.MODELS, "model", "select_by") == "recall_10",
    "evaluate_users": lambda odd: {row["n_users"] for row in odd.record["metrics"] if row["metric"] == "ndcg"} == {120},
    "item_damping": lambda odd: {fit.parameters["item_damping"] for fit in odd.fits("bias")} == {3},
    "user_damping": lambda odd: {fit.parameters["user_damping"] for fit in odd.fits("bias")} == {4},
    "top_n": lambda odd: np.asarray(pq.read_table(lists(odd))["rank"]).max() == 3,
    "recommend_block_users": lambda odd: len(list(lists(odd).iterdir())) == -(-len(ids(odd)) // 100) > 1,
    "mlflow_tracking_uri": lambda odd: tracked(odd).info.status == "FINISHED",
    "mlflow_experiment": lambda odd: tracked(odd, is_experiment=True).name == "Odd",
    "mlflow_artifact_dir": lambda odd: list((odd.workplace.folder / "artifacts").rglob(layout.REPORT)),
    "environment": lambda odd: tracked(odd).data.tags["environment"] == "laboratory",
    "log_level": lambda odd: "INFO" not in odd.outcome.stderr,
    "ncf_factors": lambda odd: neural(odd, "ncf_factors", 2),
    "ncf_layers": lambda odd: neural(odd, "ncf_layers", 1),
    "ncf_epochs": lambda odd: neural(odd, "ncf_epochs", 2),
    "ncf_patience": lambda odd: neural(odd, "ncf_patience", 3),
    "ncf_held_back": lambda odd: neural(odd, "ncf_held_back", 0.04),
    "ncf_negatives": lambda odd: neural(odd, "ncf_negatives", 5),
    "ncf_batch": lambda odd: neural(odd, "ncf_batch", 512),
    "ncf_rate": lambda odd: neural(odd, "ncf_rate", 0.02),
    "ncf_decay": lambda odd: neural(odd, "ncf_decay", 0.1),
    "ncf_seed": lambda odd: neural(odd, "ncf_seed", 8),
    "ncf_device": lambda odd: neural(odd, "ncf_device", "cpu") and not list(odd.workplace.folder.glob("work/check*/*")),
    "store_uri": lambda odd: (odd.workplace.folder / "store" / "models").is_dir(),
    "work_dir": lambda odd: (odd.workplace.folder / "work").is_dir(),
}
# Proved by tests of their own.
ELSEWHERE = {
    "test_reviews_are_downloaded_from_the_url_to_the_path_and_held_to_the_digest": [
        "raw_reviews_path",
        "raw_reviews_url",
        "raw_reviews_sha256",
    ],
    "test_delivery_is_accepted_with_a_warning_and_without_one_where_drift_is_off": ["drift"],
    "test_shipped_events_are_read_beside_the_file_and_are_part_of_the_lineage": ["input_events"],
    "test_failing_training_is_told_with_the_step_that_failed": ["notice_webhook_url"],
    "test_how_a_file_is_to_be_read_can_be_said": [
        "delimiter",
        "quote",
        "encoding",
        "header_line",
        "decimal",
        "timestamp_unit",
    ],
    "test_leave_last_n_and_split_at_decide_the_split": ["leave_last_n", "split_at"],
    "test_rolling_share_and_refits_decide_the_parts_and_the_fits": ["rolling_share", "rolling_refits"],
    "test_gap_and_end_of_a_time_split_leave_rows_out": ["split_until", "split_gap_days"],
    "test_files_say_what_is_held_out_and_pairs_in_two_of_them_are_a_leak": [
        "split_train_file",
        "split_validation_file",
        "split_test_file",
    ],
    "test_guard_refuses_a_metric_that_tells_nothing_apart_unless_told_to_warn": ["guard"],
    "test_blocks_of_users_are_ranked_on_the_workers_and_change_nothing": ["evaluate_block_users"],
    "test_a_training_tries_what_is_asked_for_and_says_so_everywhere": ["search_tries", "search_seed"],
    "test_the_search_draws_for_as_long_as_the_budget_lasts": ["budget_minutes"],
    "test_windows_are_evaluated_one_by_one": ["rolling_windows"],
    "test_lists_from_elsewhere_are_put_to_the_same_test": ["recommendations_file"],
    "test_published_model_as_it_is_is_caught_remembering_the_test_part": ["as_is"],
    "test_original_protocol_gives_a_random_scorer_what_it_gives_als": ["protocol"],
    "test_a_promotion_margin_lets_a_worse_challenger_through_for_a_reason": ["promotion_margin", "promotion_reason"],
    "test_a_rollback_goes_back_and_keeps_its_reason": ["roll_back"],
    "test_a_challenger_without_an_ab_test_is_refused_where_one_is_required": ["promotion_online"],
    "test_what_people_did_is_reported_by_model_and_scenario_with_the_ab_test": ["is_online"],
    "test_only_the_last_days_count": ["online_days"],
    "test_the_history_is_printed_and_recorded": ["show_history"],
    "test_recommend_flow_serves_a_published_model_by_its_id": ["model_id"],
    "test_an_item_and_a_user_are_looked_up_and_shown": ["item_id", "user_id"],
    "test_every_line_of_a_training_is_json_where_asked_for": ["log_format"],
    "test_tasks_run_on_the_scheduler_that_is_named": ["dask_scheduler_address"],
    "test_own_workers_are_processes_where_asked_for": ["dask_workers"],
    "test_workers_have_the_memory_that_is_named": ["dask_worker_memory"],
    "test_spark_is_opened_as_the_flags_say": [
        "spark_master",
        "spark_driver_memory",
        "spark_shuffle_partitions",
        "spark_scratch",
    ],
    "test_executors_are_as_large_as_the_flags_say": [
        "spark_executor_memory",
        "spark_executor_cores",
        "spark_max_cores",
    ],
    "test_flags_of_s3_reach_the_store_and_spark": [
        "s3_endpoint_url",
        "s3_region",
        "s3_addressing",
        "s3_ca_bundle",
        "s3_console_url",
        "s3_verify_tls",
    ],
    "test_each_limit_that_is_set_is_held_and_kept_with_its_figure": [*DriftLimits.model_fields],
}


@pytest.mark.parametrize("name", PROOFS)
def test_flag_is_obeyed(name, odd):
    if name.startswith("ncf") and not HAS_TORCH:
        pytest.skip("PyTorch is not installed: make neural")
    assert PROOFS[name](odd)


def test_every_flag_has_a_proof(capsys):
    for stage in (train, ingest, explore, recommend, evaluate, promote):
        with pytest.raises(SystemExit):
            stage.main(["--help"])
    accepted = set(re.findall(r"^  (--[a-z0-9-]+)", capsys.readouterr().out, re.MULTILINE)) - {"--json"}
    fields = flat_fields(Settings)
    assert accepted == {flag_of(name, field) for name, field in fields.items() if not is_secret(field)}
    proved = {*PROOFS, *chain.from_iterable(ELSEWHERE.values())}
    assert proved <= set(fields)
    # That options of a kind reach it is proved for any kind by test_added_kind.py; that it obeys them, by its own test.
    of_kinds = "".join(path.read_text() for path in (ROOT / "tests" / "models").glob("test_*.py"))
    unproved = set(fields) - proved
    assert unproved <= set(flat_fields(ModelOptions))
    assert not [name for name in unproved if not re.search(rf'\b{name}=|"{name}"', of_kinds)]
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert not [test for test in ELSEWHERE if f"def {test}(" not in tests]
