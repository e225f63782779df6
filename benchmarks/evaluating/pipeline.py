"""The pipeline's own evaluation: the task that scores a candidate, on Dask workers as a run starts them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from distributed import Client

from benchmarks.evaluating.publishing import STORE, WORK, find_input
from flows.options import DaskOptions
from flows.running import open_dask
from models.als import ImplicitAls
from models.registry import Candidate
from schema.errors import RecommenderError
from storage.manifest import Manifest
from tasks.options import EvaluationOptions, LogOptions, PlaceOptions
from tasks.processes import prepare_process
from tasks.score import score

LOG = LogOptions(log_level="WARNING")
PART = "test"


@contextmanager
def open_contestant(folder: Path) -> Iterator[Callable[[], float]]:
    """Yield what publishes all metrics of the fit on the test rows, and returns its NDCG@10."""
    prepare_process(LOG)
    size, split, fit = find_input(folder)
    places = PlaceOptions(store_uri=str(folder / STORE), work_dir=folder / WORK)
    candidate = Candidate(model=ImplicitAls.name, parameters={"rank": size.rank})

    def run() -> float:
        scores = client.submit(_score, places, split, fit, candidate, pure=False).result()
        if scores.count("n_users") != size.users:
            raise RecommenderError(f"{scores.count('n_users')} of {size.users} users were evaluated; no figure counts.")
        return float(scores.counts["ndcg_10"])

    with open_dask(DaskOptions(), LOG) as address, Client(address) as client:
        yield run


def _score(places: PlaceOptions, split: Manifest, fit: Manifest, candidate: Candidate) -> Manifest:
    """Score within a Dask task, so that the blocks of users go to all workers; there is no Prefect run about it."""
    return score.fn(places, split, fit, candidate, PART, EvaluationOptions())
