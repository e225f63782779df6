"""The services that a load is put on, ours and two others, and their measurement."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load import Served, highest_rates, serve
from benchmarks.served_store import Shop

MOST_P99 = 50.0  # milliseconds
N_WORKERS, N_HALVINGS = 2, 3
FIRST, SECOND, NEIGHBOURS = "a1" * 8, "a2" * 8, "b1" * 8  # ids of the published models
MODELS = {"als": FIRST, "item-knn": NEIGHBOURS}
PEERS = {"plain": "plain", "implicit": "with_implicit"}


@dataclass(frozen=True)
class Bench:
    """What all parts share.

    Attributes:
        shop: Who asks, and for what.
        store: Folder of the store.
        folder: For files of the parts.
        rate: Requests a second of the first measurement of each.
        most_rate: Highest rate that is tried.
        seconds: Of a measurement.
    """

    shop: Shop
    store: str
    folder: Path
    rate: int
    most_rate: int
    seconds: float

    def measure(self, names: Sequence[str]) -> dict[str, dict[str, float]]:
        """Return the figures of services, by name: at the rate one by one, then the highest rate of each, in turns."""
        figures: dict[str, dict[str, float]] = {}
        with ExitStack() as stack:
            servers = {}
            for name in names:
                served = servers[name] = stack.enter_context(self.serve(name))
                figures[name] = self._at_rate(served)
            limits = {"most": self.most_rate, "n_halvings": N_HALVINGS}
            highest = highest_rates(servers, self.rate, self.seconds / 2, MOST_P99, **limits)
        return {name: found | {"rate_held": highest[name]} for name, found in figures.items()}

    def _at_rate(self, served: Served) -> dict[str, float]:
        """Return the figures of one service at the rate, of all of its processes."""
        served.attack(max(self.rate // 5, 1), self.seconds / 5)
        served.settle()
        before = served.cost()
        answers = served.attack(self.rate, self.seconds)
        after = served.cost()
        return answers.figures() | {
            "cpu_milliseconds": (after.cpu_seconds - before.cpu_seconds) / len(answers.seconds) * 1000,
            "rss_megabytes": after.resident_megabytes,
            "pss_megabytes": after.shared_out_megabytes,
            "ready_seconds": served.ready_seconds,
        }

    @contextmanager
    def serve(self, name: str, uri: str = "", **variables: str) -> Iterator[Served]:
        """Yield the service of a name, ready: ours with a model of the store, or a peer."""
        environment = {"OPENBLAS_NUM_THREADS": "1", "WORK_DIR": str(self.folder / "work"), **variables}
        if name in PEERS:
            store = Path(self.store)
            environment |= {"BENCH_MODEL": str(store / "models" / FIRST / "factors")}
            environment |= {"BENCH_BUNDLE": str(next((store / "bundles").glob(f"{FIRST}-*/served")))}
            app = ("-m", "uvicorn", f"benchmarks.peers:{PEERS[name]}", "--factory", "--no-access-log")
            fixed = [*app, "--loop", "uvloop", "--http", "httptools", "--workers", str(N_WORKERS)]
        else:
            environment |= {"STORE_URI": uri or self.store, "API_EVENTS_DIR": str(self.folder / f"events-{name}")}
            environment |= {"API_WORKERS": str(N_WORKERS), "API_POLL_SECONDS": "1"}
            fixed = ["-m", "serving", *(("--model", MODELS[name]) if name in MODELS else ())]
        with serve(lambda port: [*fixed, "--port", str(port)], environment, self.shop, self.folder, N_WORKERS) as one:
            yield one
