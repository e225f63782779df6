import asyncio
import json
import shutil
import threading
import time
import warnings
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from distributed import Client, LocalCluster, Scheduler
from distributed.client import FutureCancelledError
from distributed.scheduler import KilledWorker, NoWorkerError
from doors import family, find_doors

from flows import ingest
from flows.runtime import explaining_lost_dask, open_dask
from flows.settings import DaskOptions, Environment, read
from schema.digests import file_sha256
from schema.errors import Unavailable
from spark.options import GIB
from tasks.execution import open_spark


def with_dask(**options: Any) -> Environment:
    return Environment(dask=DaskOptions(**options))


def test_tasks_run_on_the_scheduler_that_is_named(new_workplace, sample):
    workplace = new_workplace()
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        address = cluster.scheduler_address
        record = workplace.result("ingest", "--input", str(sample.reviews), "--dask-scheduler-address", address)
        done = cluster.scheduler.transition_counter
    assert record["counts"]["reviews"]["n_reviews"] > 0
    assert done > 0


def test_scheduler_that_does_not_answer_is_named_in_one_message(new_workplace, sample):
    outcome = new_workplace().run(
        "ingest", "--input", str(sample.reviews), "--dask-scheduler-address", "tcp://127.0.0.1:9"
    )
    assert outcome.code == 1
    assert "DASK_SCHEDULER_ADDRESS='tcp://127.0.0.1:9'" in outcome.stderr
    assert "Traceback" not in outcome.stderr


@pytest.mark.parametrize(("n_workers", "scheme"), [(0, "inproc://"), (2, "tcp://")])
def test_own_workers_are_processes_where_asked_for(n_workers, scheme):
    with open_dask(with_dask(dask_workers=n_workers)) as address:
        assert address.startswith(scheme)
        doors = find_doors(family())
        assert doors
        assert [one for one in doors if one.is_open] == []


def test_two_runs_at_once_have_schedulers_that_are_in_nobodys_way():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with open_dask() as first, open_dask() as second:
            assert first != second


@pytest.mark.parametrize("n_workers", [0, 1])
def test_workers_have_the_memory_that_is_named(n_workers):
    options = with_dask(dask_workers=n_workers, dask_worker_memory="900m")
    with open_dask(options) as address, Client(address) as client:
        [worker] = client.scheduler_info()["workers"].values()
        assert worker["memory_limit"] == 900 * 1024**2


@pytest.mark.parametrize("n_workers", [0, 1])
def test_own_workers_are_not_profiled(n_workers):
    with open_dask(with_dask(dask_workers=n_workers)) as address, Client(address) as client:
        client.submit(time.sleep, 1.5).result()  # Dask tells what it saw once a second
        assert client.profile()["count"] == 0


@pytest.mark.parametrize("n_workers", [0, 1])
def test_heartbeat_that_the_end_of_a_run_cuts_off_is_not_told(n_workers, capfd):
    async def hold_heartbeats(dask_scheduler: Scheduler) -> None:
        begun = asyncio.Event()

        async def never_answer(**_: Any) -> None:
            begun.set()
            await asyncio.Event().wait()

        dask_scheduler.handlers["heartbeat_worker"] = never_answer
        await begun.wait()

    with open_dask(with_dask(dask_workers=n_workers)) as address, Client(address) as client:
        client.run_on_scheduler(hold_heartbeats)
    assert "heartbeat" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("machine", "heap", "n_workers", "each"), [(24, "6g", 2, 9), (24, "6g", 0, 18), (2, "2g", 2, 0.5)]
)
def test_workers_share_what_spark_leaves_and_at_least_half_the_machine(machine, heap, n_workers, each):
    assert DaskOptions(dask_workers=n_workers).worker_bytes(machine * GIB, heap) == each * GIB


def test_spark_is_opened_as_the_flags_say(tmp_path):
    scratch = tmp_path.as_uri()
    flags = {"spark_master": "local[1]", "spark_driver_memory": "900m", "spark_shuffle_partitions": "3"}
    environment = read(Environment, flags | {"spark_scratch": scratch})
    with open_spark(environment.spark, environment.places, "flags") as session:
        assert session.sparkContext.master == "local[1]"
        assert session.conf.get("spark.driver.memory") == "900m"
        assert session.conf.get("spark.sql.shuffle.partitions") == "3"
        assert session.sparkContext.getCheckpointDir().startswith(f"file:{tmp_path}")


def test_reviews_are_downloaded_from_the_url_to_the_path_and_held_to_the_digest(new_workplace, sample, tmp_path):
    shutil.copy(sample.reviews, tmp_path / "reviews.json.gz")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=tmp_path))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    workplace = new_workplace()
    target = workplace.folder / "kept" / "here.json.gz"
    flags = ["--raw-reviews-url", f"http://127.0.0.1:{server.server_port}/reviews.json.gz"]
    flags += ["--raw-reviews-path", str(target)]
    try:
        refused = workplace.run("ingest", *flags, "--raw-reviews-sha256", "0" * 64)
        record = workplace.result("ingest", *flags, "--raw-reviews-sha256", file_sha256(sample.reviews))
    finally:
        server.shutdown()
        server.server_close()
    assert refused.code == 1
    assert "0" * 64 in refused.stderr
    assert target.read_bytes() == sample.reviews.read_bytes()
    assert record["ids"]["raw"] == file_sha256(sample.reviews)


def test_timestamps_in_milliseconds_are_read_as_such(tmp_path, prefect_api, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [
        "user,item,rating,timestamp\n",
        *(f"u{u},i{i},5,{1_400_000_000_000 + i}\n" for u in range(3) for i in range(3)),
    ]
    Path("reviews.csv").write_text("".join(rows))
    flags = ["--input", "reviews.csv", "--store", "store", "--min-interactions", "1", "--json", "out.json"]
    assert ingest.main(flags) == 0
    assert json.loads(Path("out.json").read_text())["counts"]["reviews"]["n_reviews"] == 9


def test_how_a_file_is_to_be_read_can_be_said(tmp_path, prefect_api, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [f"'u|{u}'|i{i}|{1 + i},5|{1_400_000_000_000 + i}\r\n" for u in range(3) for i in range(3)]
    Path("reviews.csv").write_text("".join(["shop\r\nuser|item|rating|timestamp\r\n", *rows]), "utf-16", newline="")
    told = {"delimiter": "pipe", "quote": "'", "encoding": "utf-16", "header-line": "2", "decimal": "comma"}
    told |= {"timestamp-unit": "ms", "min-rating": "2"}
    flags = ["--input", "reviews.csv", "--store", "store", "--min-interactions", "1", "--max-bad-share", "1"]
    assert ingest.main([*flags, *(word for name, value in told.items() for word in (f"--{name}", value))]) == 0
    (folder,) = Path("store/reviews").iterdir()
    reading = json.loads((folder / "reading.json").read_text())
    assert {f"--{name}" for name in told if name != "min-rating"} <= {
        part["flag"] for part in reading["understood"]["parts"] if part["is_set"]
    }
    reviews = pq.read_table(folder / "reviews.parquet").to_pylist()
    assert reviews[0] == {"user_id": "u|0", "item_id": "i1", "rating": 2.5, "timestamp": 1_400_000_000, "line": 4}
    assert [(loss["kind"], loss["examples"], loss["n_rows"]) for loss in reading["losses"]] == [
        ("rating value", ["1.5"], 3)
    ]


def test_lost_scheduler_and_killed_workers_are_told_with_what_to_do():
    worker: Any = None
    lost = {
        FutureCancelledError("score-1", "scheduler-connection-lost"): "Lost the Dask scheduler .*connection-lost",
        NoWorkerError("score-1", 120.0): "No Dask worker was there to run a task for two minutes",
        KilledWorker("score-1", worker, 3): "4 Dask workers died .* while they ran 'score-1'.*--dask-worker-memory",
    }
    for error, message in lost.items():
        with pytest.raises(Unavailable, match=f"{message}.*goes on from what is done"), explaining_lost_dask():
            raise error
