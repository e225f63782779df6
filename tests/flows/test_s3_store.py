"""The main job on a real MinIO: two runs at once, the bytes of a folder, and no secret anywhere."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from workplace import Outcome, Workplace, artifact_ids

from deployments.s3_server import S3Server
from flows.settings import read
from schema.errors import InvalidInput
from storage.s3_options import S3Options
from tasks.addresses import store_page
from tasks.execution import spark_uri
from tasks.options import PlaceOptions, ReviewsInput

PASSWORD = "planted-in-an-address"  # noqa: S105 - what must not be found


@dataclass(frozen=True)
class Pair:
    """Two trainings that ran at once on one store on MinIO, each in a workplace of its own."""

    server: S3Server
    workplaces: list[Workplace]
    outcomes: list[Outcome]
    records: list[dict[str, Any]]


@pytest.fixture(scope="module")
def pair(minio: S3Server, new_workplace: Callable[..., Workplace], sample_flags: list[str]) -> Pair:
    first = new_workplace(minio)
    second = replace(first, folder=first.folder / "second", tracking_uri=f"sqlite:///{first.folder}/second.db")
    second.folder.mkdir()
    secrets = {
        "RAW_REVIEWS_URL": f"https://me:{PASSWORD}@example.org/reviews.json.gz?token={PASSWORD}",
        "LOG_LEVEL": "DEBUG",
    }

    def train(workplace: Workplace) -> Outcome:
        flags = ["--store", first.store_uri, *sample_flags, "--json", str(workplace.folder / "result.json")]
        done = subprocess.run(
            workplace.command("train", *flags),
            cwd=workplace.folder,
            env=workplace.environment | secrets,
            capture_output=True,
            text=True,
            check=False,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(train, (first, second)))
    assert [outcome.code for outcome in outcomes] == [0, 0], outcomes
    records = [read_json(workplace.folder / "result.json") for workplace in (first, second)]
    return Pair(minio, [first, second], outcomes, records)


def read_json(path: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(path.read_text())
    return record


def test_neither_python_nor_the_jvm_asks_the_proxy_for_the_store(pair, refusing_proxy):
    assert refusing_proxy.requests == []


def test_two_trainings_at_once_end_with_one_result_and_no_error(pair):
    assert artifact_ids(pair.records[0]) == artifact_ids(pair.records[1])
    for outcome in pair.outcomes:
        assert "| ERROR" not in outcome.stderr
        assert "Traceback" not in outcome.stderr


def test_training_on_minio_gives_the_ids_and_the_bytes_of_one_on_a_folder(pair, trained):
    workplace, record = trained
    assert artifact_ids(pair.records[0]) == artifact_ids(record)
    assert pair.workplaces[0].digests() == workplace.digests()


def test_training_leaves_no_scratch_on_the_server(pair):
    hidden = pair.workplaces[0].store._objects(".spark/")  # type: ignore[attr-defined]
    assert [
        found["Key"] for found in hidden if not found["Key"].endswith("/")
    ] == []  # Hadoop keeps a marker of a folder


def everything_written(pair: Pair) -> Iterator[tuple[str, bytes]]:
    """Yield all that two trainings left: logs, results, scratch files, MLflow, Prefect, and every object."""
    for outcome in pair.outcomes:
        yield "standard error", outcome.stderr.encode()
        yield "standard output", outcome.stdout.encode()
    tracking = Path(pair.workplaces[0].tracking_uri.removeprefix("sqlite:///")).parent
    for root in (pair.workplaces[0].folder, tracking, Path(os.environ["PREFECT_HOME"])):
        for path in root.rglob("*"):
            if path.is_file():
                yield str(path), path.read_bytes()
    store = pair.workplaces[0].store
    for info in store.list(""):
        yield info.key, store.read(info.key)


def test_no_secret_is_in_logs_results_manifests_prefect_or_mlflow(pair):
    looked_at = dict(everything_written(pair))
    assert any("prefect.db" in name for name in looked_at)
    assert any("mlflow.db" in name for name in looked_at)
    assert not any(b"example.org" in data for data in looked_at.values()), "an address of the environment is kept"
    secrets = (PASSWORD.encode(), pair.server.credentials.secret_key.encode())
    assert [name for name, data in looked_at.items() if any(secret in data for secret in secrets)] == []


def test_password_in_an_address_is_used_and_not_kept_by_prefect():
    address = f"https://me:{PASSWORD}@example.org/reviews.json.gz?sign={PASSWORD}"
    reviews = read(ReviewsInput, {"input_reviews": address})
    assert reviews.input_reviews == address
    assert reviews.model_dump(mode="json")["input_reviews"] == "https://example.org/reviews.json.gz"


def test_flags_of_s3_reach_the_store_and_spark(tmp_path):
    bundle = tmp_path / "ca.pem"
    bundle.write_text("")
    flags = {"store_uri": "s3://bucket/p", "s3_endpoint_url": "https://server:9000", "s3_region": "eu-west-3"}
    flags |= {"s3_addressing": "virtual", "s3_ca_bundle": str(bundle), "s3_verify_tls": "false"}
    flags |= {"s3_console_url": "https://console"}
    places = read(PlaceOptions, flags)
    assert places.s3 == S3Options(
        s3_endpoint_url="https://server:9000",
        s3_region="eu-west-3",
        s3_addressing="virtual",
        s3_ca_bundle=bundle,
        s3_console_url="https://console",
        s3_verify_tls=False,
    )
    assert store_page(places.store_uri, places.s3, "reports/r/") == "https://console/browser/bucket/p%2Freports%2Fr%2F"
    client = places.open_store()._client  # type: ignore[attr-defined]
    assert (client.meta.endpoint_url, client.meta.region_name) == ("https://server:9000", "eu-west-3")


def test_spark_reads_the_server_itself(pair):
    workplace = pair.workplaces[0]
    places = PlaceOptions(store_uri=workplace.store_uri, s3=S3Options(s3_endpoint_url=pair.server.endpoint_url))
    dataset = next(manifest for manifest in workplace.manifests() if manifest.kind == "datasets")
    uri = spark_uri(places, dataset, "interactions.parquet")
    assert uri == f"s3a://{workplace.store_uri.removeprefix('s3://')}/datasets/{dataset.id}/interactions.parquet"


def test_spark_reads_verified_copies_where_only_we_accept_the_certificate(pair, tmp_path, monkeypatch):
    workplace = pair.workplaces[0]
    dataset = next(manifest for manifest in workplace.manifests() if manifest.kind == "datasets")
    monkeypatch.setattr(PlaceOptions, "open_store", lambda _: workplace.store)
    places = PlaceOptions(
        store_uri=workplace.store_uri, s3=S3Options(s3_ca_bundle=tmp_path / "ca.pem"), work_dir=tmp_path
    )
    path = Path(spark_uri(places, dataset, "interactions.parquet"))
    assert path.is_relative_to(tmp_path)
    assert path.read_bytes() == workplace.store.read(f"datasets/{dataset.id}/interactions.parquet")


def test_bucket_that_is_missing_is_told_before_any_work(minio, new_workplace, sample_flags):
    outcome = new_workplace(minio).run("train", *sample_flags, "--store", "s3://no-such-bucket/p")
    assert outcome.code == 1
    assert "Make the bucket first" in outcome.stderr
    assert "Traceback" not in outcome.stderr
    with pytest.raises(InvalidInput):
        PlaceOptions(
            store_uri="s3://no-such-bucket/p", s3=S3Options(s3_endpoint_url=minio.endpoint_url)
        ).open_store().read("a")
