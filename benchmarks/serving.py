"""Latency, highest rate, memory and outages of the API under an open-loop load, beside two plain services.

    python -m benchmarks.serving
    python -m benchmarks.serving --only als,plain,implicit --json result.json

It draws a shop of the size of Amazon Electronics, publishes a factor model, another one and an item-item model with
their bundles in a temporary store, and serves them with two workers. vegeta, in a process of its own, asks for lists
of the night, for items of a category (which takes scoring) and for baskets, whether or not answers come; --shares says
how many of each. Each service gets the same requests: p99 at --rate, then the highest rate whose p99 is at most 50 ms,
for which the services take turns, rate by rate.
`plain` is FastAPI and NumPy, `implicit` FastAPI and the library of that name; both score and sort all items, since
they have no lists of the night (benchmarks/peers.py). `swap` moves the pointer to another model during the load,
`outage` serves from a MinIO that is stopped and started again.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks import harness
from benchmarks.measuring import Spread

MOST_P99_AT_RATE, LEAST_RATIO, MOST_READY_SECONDS = 10.0, 2.0, 5.0
N_REQUESTS, MOST_RATE = 20_000, 16_000
PARTS = ("als", "item-knn", "plain", "implicit", "swap", "outage")
SHARES = (0.8, 0.1, 0.1)  # most requests are of people who look at a front page
QUICK = {"users": 2_000, "items": 1_500, "interactions": 20_000, "rank": 16}
OTHERS = ("STORE_", "S3_", "API_", "AWS_", "WORK_DIR")
COLUMNS = (
    ("p50 ms", "p50_milliseconds", 1),
    ("p99 ms", "p99_milliseconds", 1),
    ("lists", "p99_lists_milliseconds", 1),
    ("exact", "p99_exact_milliseconds", 1),
    ("fold-in", "p99_fold_in_milliseconds", 1),
    ("Errors", "errors", 0),
    ("CPU ms", "cpu_milliseconds", 2),
    ("Rate held", "rate_held", 0),
    ("RSS MB", "rss_megabytes", 0),
    ("PSS MB", "pss_megabytes", 0),
    ("Ready s", "ready_seconds", 1),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table and return 0, whether or not the aims are met."""
    return harness.run_command(_parser(), _run, arguments)


def _run(chosen: argparse.Namespace) -> int:
    from benchmarks import served_store
    from benchmarks.services import FIRST, N_WORKERS, NEIGHBOURS, SECOND, Bench
    from benchmarks.serving_outages import stop_store, swap_champion
    from benchmarks.synthetic import Size
    from storage.opening import open_store

    for name in [name for name in os.environ if name.startswith(OTHERS)]:
        del os.environ[name]
    size = Size(**QUICK) if chosen.quick else Size()
    rate, most_rate, seconds = (50, 50, 1.0) if chosen.quick else (chosen.rate, MOST_RATE, chosen.seconds)
    extra = {"swap": swap_champion, "outage": stop_store}
    figures = []
    with tempfile.TemporaryDirectory(prefix="recommender-serving-") as name:
        shop = served_store.Shop.draw(size, N_REQUESTS, seed=1, shares=chosen.shares)
        bench = Bench(shop, str(Path(name, "store")), Path(name), rate, most_rate, seconds)
        store = open_store(bench.store)
        kinds = {FIRST: served_store.ALS, SECOND: served_store.ALS, NEIGHBOURS: served_store.KNN}
        for seed, (model_id, kind) in enumerate(kinds.items()):
            shop.publish(store, kind, model_id, seed)
        served_store.make_champion(store, FIRST)
        measured = bench.measure([part for part in chosen.only if part not in extra])
        for part in chosen.only:
            values = extra[part](bench) if part in extra else measured[part]
            harness.say(f"{part}: " + ", ".join(f"{name} {value:.4g}" for name, value in values.items()))
            figures.append(_figures(part, values))
    parameters = vars(size) | {"rate": rate, "seconds": seconds, "workers": N_WORKERS}
    parameters |= {"shares": chosen.shares, "repetitions": 1, "machine": harness.describe_machine()}
    _show(figures, parameters)
    harness.write_rows(chosen.json, harness.rows_of(figures, parameters))
    return harness.DONE


def verdicts(figures: Sequence[harness.Figures]) -> Iterator[str]:
    """Yield a sentence for each aim that the parts which ran have."""
    by_name = {one.model: {name: spread.value for name, spread in one.values.items()} for one in figures}
    for name in [name for name in ("als", "item-knn") if name in by_name]:
        p99, errors, ready = (by_name[name][key] for key in ("p99_milliseconds", "errors", "ready_seconds"))
        is_met = p99 <= MOST_P99_AT_RATE and not errors
        aim = f"at most {MOST_P99_AT_RATE:.0f} ms, 0 errors"
        yield harness.describe_aim(f"{name}: p99 {p99:.1f} ms, {errors:.0f} errors", aim, is_met)
        aim = f"below {MOST_READY_SECONDS:.0f} s"
        yield harness.describe_aim(f"{name}: ready in {ready:.1f} s", aim, ready < MOST_READY_SECONDS)
    for peer in [peer for peer in ("plain", "implicit") if {peer, "als"} <= by_name.keys()]:
        ratio = by_name["als"]["rate_held"] / max(by_name[peer]["rate_held"], 1)
        finding = f"als: {ratio:.1f} x the rate of {peer}"
        yield harness.describe_aim(finding, f"at least {LEAST_RATIO:.0f}", ratio >= LEAST_RATIO)
    if "swap" in by_name:
        yield _describe_swap(by_name["swap"])
    if "outage" in by_name:
        yield _describe_outage(by_name["outage"])


def _describe_swap(found: Mapping[str, float]) -> str:
    p99s = ", ".join(f"{found[f'p99_{when}_milliseconds']:.1f} {when}" for when in ("before", "during", "after"))
    finding = f"swap: {found['errors']:.0f} errors, done in {found['swap_seconds']:.1f} s, p99 in ms {p99s}"
    return harness.describe_aim(finding, "0 errors", not found["errors"] and found["answers_of_new"] > 0)


def _describe_outage(found: Mapping[str, float]) -> str:
    times = f"told after {found['told_seconds']:.1f} s, recovered {found['recovered_seconds']:.1f} s after the store"
    finding = f"outage: {found['errors']:.0f} errors, {times}"
    return harness.describe_aim(finding, "0 errors", not found["errors"])


def _figures(name: str, values: Mapping[str, float]) -> harness.Figures:
    return harness.Figures(name, "", {key: Spread(value, value, value) for key, value in values.items()})


def _show(figures: Sequence[harness.Figures], parameters: Mapping[str, Any]) -> None:
    sizes = f"{parameters['users']:,} users, {parameters['items']:,} items, rank {parameters['rank']}"
    title = (
        f"{sizes}; {parameters['rate']} requests/s for {parameters['seconds']:.0f} s, {parameters['workers']} workers"
    )
    console = harness.open_console(130)
    console.print(harness.make_table(title, ["Service"], COLUMNS, {(one.model,): one for one in figures}))
    console.print(f"Machine: {parameters['machine']}; vegeta runs on it too")
    shares = " / ".join(f"{share:.0%}" for share in parameters["shares"])
    console.print(f"{shares} of the requests are for lists / exact / fold-in")
    console.print("lists, exact, fold-in: p99 of each way; CPU of all processes a request; memory of a worker")
    for sentence in verdicts(figures):
        console.print(sentence)


def _parts(text: str) -> tuple[str, ...]:
    unknown = set(text.split(",")) - set(PARTS)
    if unknown:
        raise argparse.ArgumentTypeError(f"no part {sorted(unknown)[0]!r}; there are {', '.join(PARTS)}")
    return tuple(part for part in PARTS if part in text.split(","))


def _shares(text: str) -> tuple[float, ...]:
    percents = [int(part) if part.isdecimal() else -1 for part in text.split(",")]
    if len(percents) != len(SHARES) or min(percents) < 0 or sum(percents) != 100:
        raise argparse.ArgumentTypeError(
            f"expected three whole numbers that sum to 100, such as 80,10,10; found {text!r}"
        )
    return tuple(percent / 100 for percent in percents)


def _parser() -> argparse.ArgumentParser:
    parser = harness.command_parser("serving", __doc__)
    here = [part for part in PARTS if part != "implicit" or find_spec("implicit")]  # not there for Python 3.14
    parser.add_argument("--only", type=_parts, default=here, metavar="PART,…", help=f"of {', '.join(PARTS)}; all")
    parser.add_argument(
        "--shares",
        type=_shares,
        default=SHARES,
        metavar="LISTS,EXACT,FOLD_IN",
        help="of requests, in percent (80,10,10)",
    )
    parser.add_argument("--rate", type=harness.at_least_one, default=500, help="requests a second (500)")
    parser.add_argument("--seconds", type=harness.at_least_one, default=15, help="of each measurement (15)")
    parser.add_argument("--quick", action="store_true", help="a small shop and a second each, to see that it works")
    return parser


if __name__ == "__main__":
    sys.exit(main())
