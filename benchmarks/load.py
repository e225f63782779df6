"""An open-loop load on an HTTP server, by vegeta in a process of its own, and what the server takes for it."""

import base64
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np
import orjson
import psutil
from numpy.typing import NDArray

from benchmarks.harness import say
from benchmarks.measuring import MEGABYTE
from benchmarks.served_store import Shop, category, item_id, user_id
from flows.child_server import LOOPBACK, Check, ChildServer, free_port, require_program
from schema.errors import Unavailable

TIMEOUT_SECONDS = 5
MOST_WORKERS = 2000
SETTLED_SECONDS, SETTLE_TIMEOUT = 0.05, 30.0
WAYS = ("lists", "exact", "fold-in")
MOST_BASKET = 6
N_TRIES = 2
SHARE_SENT = 0.98  # of the requests that a rate asks for; vegeta sends fewer where it cannot keep up


class Answers(NamedTuple):
    """What came back, one entry for each request, in the order of sending.

    Attributes:
        sent: Unix seconds.
        seconds: From sending to the end of the answer.
        is_right: Whether the status is 200.
        way: Place in WAYS.
        body: Of each answer, where they were kept.
        rate: Requests a second that were asked for.
        wall_seconds: For how long requests were sent, as asked for.
    """

    sent: NDArray[np.float64]
    seconds: NDArray[np.float64]
    is_right: NDArray[np.bool_]
    way: NDArray[np.int64]
    body: list[bytes]
    rate: int
    wall_seconds: float

    @property
    def n_errors(self) -> int:
        """Number of answers that are no success."""
        return int((~self.is_right).sum())

    def percentile(self, q: float, chosen: "NDArray[np.bool_] | slice" = slice(None)) -> float:
        """Return a percentile of the milliseconds of some answers; NaN for none."""
        seconds = self.seconds[chosen]
        return float(np.percentile(seconds, q) * 1000) if len(seconds) else float("nan")

    def is_held(self, most_p99: float) -> bool:
        """Tell whether all requests of the rate were sent and answered right, 99 % of them within so many ms."""
        is_sent = len(self.seconds) >= SHARE_SENT * self.rate * self.wall_seconds
        return is_sent and not self.n_errors and self.percentile(99) <= most_p99

    def figures(self) -> dict[str, float]:
        """Return the median and p99 of all answers, the p99 of each way, and the number of errors."""
        by_way = {
            f"p99_{way.replace('-', '_')}_milliseconds": self.percentile(99, self.way == place)
            for place, way in enumerate(WAYS)
        }
        p50, p99 = self.percentile(50), self.percentile(99)
        return {"p50_milliseconds": p50, "p99_milliseconds": p99, **by_way, "errors": self.n_errors}


@dataclass(frozen=True)
class Cost:
    """What a server took: processor seconds of all of its processes, and bytes of each worker."""

    cpu_seconds: float
    resident_megabytes: float
    shared_out_megabytes: float


@dataclass
class Served:
    """A server under load.

    Attributes:
        process: Its first process, the parent of all others.
        url: Where it answers.
        targets: File of requests, as vegeta reads them.
        n_workers: Processes that answer.
        ready_seconds: From its start until /readyz answered with success.
    """

    process: ChildServer
    url: str
    targets: Path
    n_workers: int
    ready_seconds: float

    def attack(self, rate: int, seconds: float, *, keep_bodies: bool = False) -> Answers:
        """Send requests at a rate, whether or not answers come, and return all answers.

        Raises:
            Unavailable: If vegeta fails.
        """
        with tempfile.NamedTemporaryFile() as result:
            sending = (f"-rate={rate}/s", f"-duration={seconds}s", f"-timeout={TIMEOUT_SECONDS}s", "-format=json")
            limits = (f"-max-workers={MOST_WORKERS}", f"-max-body={-1 if keep_bodies else 0}")
            _vegeta("attack", *sending, *limits, f"-targets={self.targets}", f"-output={result.name}")
            lines = _vegeta("encode", "-to=json", result.name).splitlines()
        return _read(sorted(map(orjson.loads, lines), key=lambda one: int(one["seq"])), rate, seconds)

    def settle(self) -> None:
        """Wait until the server has worked off what an attack left, and answers at once."""
        deadline = time.monotonic() + SETTLE_TIMEOUT
        with httpx.Client(timeout=SETTLE_TIMEOUT, trust_env=False) as client:
            while time.monotonic() < deadline:
                started = time.monotonic()
                client.get(f"{self.url}/readyz")
                if time.monotonic() - started < SETTLED_SECONDS:
                    return
                time.sleep(SETTLED_SECONDS)

    def cost(self) -> Cost:
        """Return what its processes took until now; memory is the mean of the largest, which are the workers."""
        parent = psutil.Process(self.process.pid)
        family = [parent, *parent.children(recursive=True)]
        memory = sorted((one.memory_full_info() for one in family), key=lambda one: -one.rss)[: self.n_workers]
        cpu = sum(times.user + times.system for times in (one.cpu_times() for one in family))
        resident, shared_out = (
            sum(getattr(one, name) for one in memory) / len(memory) / MEGABYTE for name in ("rss", "pss")
        )
        return Cost(cpu, resident, shared_out)


@contextmanager
def serve(
    command: Callable[[int], list[str]], environment: dict[str, str], shop: Shop, folder: Path, n_workers: int
) -> Iterator[Served]:
    """Yield a server that is ready, and stop it in the end.

    Args:
        command: Returns the arguments of Python for a port.
        environment: Variables of the server.
        shop: Whose users ask.
        folder: For the file of requests.
        n_workers: Processes that the command starts to answer.

    Raises:
        Unavailable: If it does not start.
    """
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    process = ChildServer([sys.executable, *command(port)], environment, [Check(f"{url}/readyz")])
    targets = folder / f"{port}.targets"
    write_targets(targets, url, shop)
    started = time.perf_counter()
    try:
        process.start()
        yield Served(process, url, targets, n_workers, time.perf_counter() - started)
    finally:
        process.stop()


def write_targets(path: Path, url: str, shop: Shop) -> None:
    """Write a request of each asking user: for lists of the night, for one category, or for a basket.

    Only the first can be answered from a list that somebody made before; a basket has up to six items.
    """
    rng = np.random.default_rng(shop.seed)
    ways = rng.choice(len(WAYS), len(shop.asking), p=shop.shares)
    categories = rng.integers(0, 20, len(shop.asking))
    histories = shop.histories
    with path.open("wb") as file:
        for user, way, number in zip(shop.asking.tolist(), ways.tolist(), categories.tolist(), strict=True):
            if WAYS[way] == "fold-in":
                items = histories.items[histories.indptr[user] :][:MOST_BASKET].tolist()
                basket = [{"item_id": item_id(item)} for item in items]
                body = orjson.dumps({"n": 10, "scenario": "home", "items": basket})
                headers = {"Content-Type": ["application/json"]}
                target: dict[str, Any] = {"method": "POST", "url": f"{url}/v1/recommendations", "header": headers}
                target["body"] = base64.b64encode(body).decode()
            else:
                chosen = f"&category={category(number).replace(' ', '+')}" if WAYS[way] == "exact" else ""
                address = f"{url}/v1/users/{user_id(user)}/recommendations?n=10{chosen}"
                target = {"method": "GET", "url": address}
            file.write(orjson.dumps(target) + b"\n")


def highest_rates(
    servers: Mapping[str, Served], first: int, seconds: float, most_p99: float, *, most: int, n_halvings: int
) -> dict[str, int]:
    """Return the highest rate that each server holds; they take turns, so that a noisy minute is nobody's own.

    A rate that is not held is tried once more if half of the answers came in time: a pause of the machine is no limit
    of a server.

    Args:
        servers: By name; all are up, and only the one whose turn it is has work.
        first: Requests a second to begin with.
        seconds: For how long each rate is tried.
        most_p99: Milliseconds within which 99 % of the answers have to come.
        most: Highest rate that is tried.
        n_halvings: How often the range between what is held and what is not is halved.
    """
    searches = {name: close_in(first, most, n_halvings) for name in servers}
    rates = {name: next(search) for name, search in searches.items()}
    highest: dict[str, int] = {}
    while rates:
        for name, rate in list(rates.items()):
            is_held = _is_held(servers[name], rate, seconds, most_p99)
            say(f"{name}: {rate}/s {'held' if is_held else 'not held'}")
            try:
                rates[name] = searches[name].send(is_held)
            except StopIteration as done:
                highest[name] = done.value
                del rates[name]
    return highest


def close_in(first: int, most: int, n_halvings: int) -> Generator[int, bool, int]:
    """Yield rates to try, take whether each is held, and return the highest that is.

    They are doubled, or halved, from the first until it turns, then bisected.
    """
    low, high = 0, first
    while high <= most and (yield high):
        low, high = high, high * 2
    while not low and high > 1:
        high //= 2
        if (yield high):
            low, high = high, high * 2
    for _ in range(n_halvings if low < most else 0):
        middle = (low + high) // 2
        low, high = (middle, high) if (yield middle) else (low, middle)
    return low


def _is_held(served: Served, rate: int, seconds: float, most_p99: float) -> bool:
    for _ in range(N_TRIES):
        served.settle()
        answers = served.attack(rate, seconds)
        if answers.is_held(most_p99):
            return True
        if answers.percentile(50) > most_p99:
            return False
    return False


def _vegeta(*words: str) -> bytes:
    done = subprocess.run([str(require_program("vegeta")), *words], capture_output=True, check=False)
    if done.returncode:
        raise Unavailable(f"vegeta {words[0]} failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def _read(results: list[dict[str, Any]], rate: int, seconds: float) -> Answers:
    ways = [2 if one["method"] == "POST" else int("category=" in one["url"]) for one in results]
    return Answers(
        sent=np.array([datetime.fromisoformat(one["timestamp"]).timestamp() for one in results]),
        seconds=np.array([one["latency"] for one in results]) / 1e9,
        is_right=np.array([one["code"] == 200 for one in results]),
        way=np.array(ways),
        body=[base64.b64decode(one["body"] or "") for one in results],
        rate=rate,
        wall_seconds=seconds,
    )
