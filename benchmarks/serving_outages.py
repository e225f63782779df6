"""What the API answers under load while the champion changes, and while its store is away."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np

from benchmarks.load import Served
from benchmarks.served_store import ALS, make_champion
from benchmarks.services import FIRST, SECOND, Bench
from deployments.s3_server import open_minio
from schema.errors import Unavailable
from storage.opening import open_store
from storage.s3_options import S3Options

LOOK_SECONDS, MOST_SECONDS = 0.1, 90.0
BUCKET = "serving"


def swap_champion(bench: Bench) -> dict[str, float]:
    """Move the pointer to another model of the same size during an attack, and tell what came of it.

    The answers from that moment until none came from the old model are "during".

    Returns:
        Errors, p50 and p99 in all, p99 before, during and after, the seconds that it took, and how many answers the
        new model gave.
    """
    store = open_store(bench.store)
    make_champion(store, FIRST)
    with bench.serve("swap") as served, ThreadPoolExecutor(1) as pool:
        served.attack(bench.rate, bench.seconds / 5)
        attack = pool.submit(served.attack, bench.rate, 3 * bench.seconds, keep_bodies=True)
        time.sleep(bench.seconds)
        make_champion(store, SECOND)
        moved = time.time()
        answers = attack.result()
    is_new = np.array([SECOND.encode() in body for body in answers.body])
    last = max(moved, float(answers.sent[~is_new & answers.is_right].max(initial=moved)))
    return {
        **answers.figures(),
        "p99_before_milliseconds": answers.percentile(99, answers.sent < moved),
        "p99_during_milliseconds": answers.percentile(99, (answers.sent >= moved) & (answers.sent <= last)),
        "p99_after_milliseconds": answers.percentile(99, answers.sent > last),
        "swap_seconds": last - moved,
        "answers_of_new": float(is_new.sum()),
    }


def stop_store(bench: Bench) -> dict[str, float]:
    """Stop the MinIO that the API loaded its model from during an attack, and start it again when /readyz has told.

    Returns:
        Errors, p50 and p99 in all, the seconds until /readyz told of it, and those from the start of MinIO until it
        had nothing to tell any more.

    Raises:
        Unavailable: If it does not tell, or not recover.
    """
    with open_minio(bench.folder / "minio", bucket=BUCKET) as server:
        os.environ.update(server.environment())  # for boto3 in this process
        uri = f"s3://{BUCKET}/store"
        store = open_store(uri, S3Options(s3_endpoint_url=server.endpoint_url))
        bench.shop.publish(store, ALS, FIRST, seed=0)
        make_champion(store, FIRST)
        with bench.serve("outage", uri, **server.environment()) as served, ThreadPoolExecutor(1) as pool:
            served.attack(bench.rate, bench.seconds / 5)
            attack = pool.submit(served.attack, bench.rate, 3 * bench.seconds)
            time.sleep(bench.seconds / 2)
            server.process.kill()
            told = _seconds_until(served, lambda said: said["status"] != "ready")
            time.sleep(bench.seconds / 2)
            server.process.start()
            recovered = _seconds_until(served, lambda said: said["status"] == "ready")
            answers = attack.result()
    return {**answers.figures(), "told_seconds": told, "recovered_seconds": recovered}


def _seconds_until(served: Served, is_so: Callable[[dict[str, str]], bool]) -> float:
    began = time.monotonic()
    with httpx.Client(trust_env=False, timeout=MOST_SECONDS) as client:
        while not is_so(said := client.get(f"{served.url}/readyz").json()):
            if time.monotonic() - began > MOST_SECONDS:
                raise Unavailable(f"/readyz goes on saying {said}")
            time.sleep(LOOK_SECONDS)
    return time.monotonic() - began
