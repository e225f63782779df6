"""One contestant in a process of its own, so that the time and the memory it takes are nobody else's.

    python -m benchmarks.evaluating.child evaluation FOLDER

The folder holds what `benchmarks.evaluating.publishing` left. The time, the memory and the NDCG@10 go to standard
output as one line of JSON. Idle is the process after its imports, with its threads, workers or JVM started.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from benchmarks.evaluating.rounds import CONTESTANTS, EVALUATION, PRODUCT
from benchmarks.transfers.child import peak_bytes, reset_peak
from schema.errors import RecommenderError

Contestant = Callable[[Path], AbstractContextManager[Callable[[], float | None]]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Let one contestant run once and print what it took."""
    chosen = _parser().parse_args(arguments)
    open_contestant = _import(chosen.contestant)
    try:
        with open_contestant(chosen.folder) as run:
            idle_bytes = reset_peak()
            started, started_cpu = time.perf_counter(), time.process_time()
            ndcg = run()
            seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - started_cpu
            peak = peak_bytes()
    except (RecommenderError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    times = {"seconds": seconds, "cpu_seconds": cpu_seconds}
    print(json.dumps({**times, "idle_bytes": idle_bytes, "peak_bytes": peak, "ndcg": ndcg}))
    return 0


def _import(contestant: str) -> Contestant:
    """Import one contestant, and none of what only others need."""
    if contestant == PRODUCT:
        from benchmarks.evaluating import product

        return product.open_contestant
    if contestant == EVALUATION:
        from benchmarks.evaluating import pipeline

        return pipeline.open_contestant
    from benchmarks.evaluating import spark_lists

    return spark_lists.open_contestant


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("contestant", choices=CONTESTANTS)
    parser.add_argument("folder", type=Path)
    return parser


if __name__ == "__main__":
    sys.exit(main())
