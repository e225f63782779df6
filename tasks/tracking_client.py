"""The client of MLflow, its database and the experiment of this installation."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from loguru import logger

from schema.errors import Unavailable
from schema.proxies import proxy_before
from storage.files import ABANDONED_AGE, has_living_writer, remove_stale, whole_file
from tasks.addresses import WEB, health_problem, hide_user
from tasks.options import SQLITE, TrackingOptions

KIND_TAG: Final = "mlflow.experimentKind"
MODEL_TRAINING: Final = "custom_model_development"
WRITER_TAG: Final = "recommender.writer"
FLOW_RUN_TAG: Final = "prefect.flow_run_id"


def open_client(options: TrackingOptions) -> Any:
    """Return MLflow's client; the database is made if it is to be in a file that is not there."""
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # for each run it would ask and print
    from mlflow import MlflowClient  # which takes seconds that only tracked runs need

    if options.database:
        make_database(options.database, options.mlflow_artifact_dir)
    return MlflowClient(tracking_uri=options.mlflow_tracking_uri)


def has_runs(options: TrackingOptions) -> bool:
    """Tell whether MLflow may know any run: whether its server answers, or its database was made."""
    if is_served(options):
        require_answer(options.mlflow_tracking_uri)
    return options.database is None or options.database.exists()


def is_served(options: TrackingOptions) -> bool:
    """Tell whether runs are tracked by a server, rather than written to a database by the run itself."""
    return options.mlflow_tracking_uri.startswith(WEB)


def make_database(path: Path, artifact_dir: Path) -> None:
    """Make MLflow's SQLite database if it is not there: whole or not at all, and for its owner only.

    MLflow makes its tables in dozens of steps that SQLite cannot undo, and never gets over having been killed
    between two of them. Runs of its own default experiment would keep files in ``artifact_dir``.
    """
    if path.exists():
        return
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    remove_stale(path.absolute().parent)
    with whole_file(path.absolute(), mode=0o600, replace=False) as partial:  # another run may be quicker
        store: Any = SqlAlchemyStore
        store(f"{SQLITE}{partial}", artifact_dir.absolute().as_uri()).engine.dispose()


def open_experiment(client: Any, options: TrackingOptions) -> str:
    """Return the id of the experiment, of the kind for training models; made if it is not there."""
    found = client.get_experiment_by_name(options.mlflow_experiment)
    if found is None:
        local = None if is_served(options) else options.mlflow_artifact_dir.absolute().as_uri()
        tags = {KIND_TAG: MODEL_TRAINING}
        return str(client.create_experiment(options.mlflow_experiment, artifact_location=local, tags=tags))
    if "inferred" in found.tags.get(KIND_TAG, "inferred"):  # by the UI, which takes it for one of GenAI
        client.set_experiment_tag(found.experiment_id, KIND_TAG, MODEL_TRAINING)
    return str(found.experiment_id)


def end_dead_runs(client: Any, experiment: str) -> None:
    """End the runs that processes which died left running, by the rule for what dead writers leave in folders.

    A run of this host is ended if its process is gone, one of another host a week after it began.
    """
    abandoned = (time.time() - ABANDONED_AGE.total_seconds()) * 1000
    for run in client.search_runs([experiment], "attributes.status = 'RUNNING'"):
        writer = run.data.tags.get(WRITER_TAG)
        is_alive = has_living_writer(writer) if writer else True
        if is_alive is False or (is_alive is None and run.info.start_time < abandoned):
            client.set_terminated(run.info.run_id, "KILLED")
            logger.info("MLflow run {} was left running by a process that is gone: ended", run.info.run_name)


def end_runs_of(options: TrackingOptions, flow_run_id: str, status: str) -> int:
    """End what a flow run of Prefect left running, with a status of MLflow's, and return how many runs that were.

    Raises:
        Unavailable: If the tracking server does not answer.
    """
    if not has_runs(options):
        return 0
    client = open_client(options)
    with explained():
        found = client.get_experiment_by_name(options.mlflow_experiment)
        asked = f"tags.`{FLOW_RUN_TAG}` = '{flow_run_id}' and attributes.status = 'RUNNING'"
        runs = client.search_runs([found.experiment_id], asked) if found else []
        for run in runs:
            client.set_terminated(run.info.run_id, status)
    return len(runs)


@contextmanager
def explained() -> Iterator[None]:
    """Turn any error of MLflow's into one of ours, where the work goes on without it.

    Raises:
        Unavailable: If MLflow raised an error.
    """
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        raise Unavailable(f"MLflow: {error}") from error


def require_answer(uri: str) -> None:
    """See that a tracking server answers.

    Raises:
        Unavailable: If it does not.
    """
    if problem := health_problem(uri):
        raise Unavailable(
            f"MLflow {problem}: MLFLOW_TRACKING_URI is {hide_user(uri)!r}. See that the server runs, or set it "
            f"(--mlflow-tracking-uri) to one that does, or to sqlite:///mlflow.db.{proxy_before(uri)}"
        )
