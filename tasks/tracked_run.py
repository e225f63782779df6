"""The MLflow run of a training or an exploration: found again by its tags, so that a run that was cut off goes on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import psutil
from prefect.runtime import deployment, flow_run

from storage.code_version import ROOT
from storage.files import temporary_name
from tasks.addresses import lasting_run_page
from tasks.registration import MODEL_TAG
from tasks.tracking_client import FLOW_RUN_TAG, WRITER_TAG

NAME_TAG: Final = "mlflow.runName"
KEY_TAG: Final = "recommender.key"
FINISHED: Final = "FINISHED"


@dataclass(frozen=True)
class TrackedRun:
    """The MLflow run of a training or an exploration.

    Attributes:
        experiment: Id of its experiment.
        id: Its own id.
        key: The tag that it is found again by.
        began: When it began, in milliseconds since 1970.
        model_id: The model whose run it is; None until one is published.
        is_complete: Whether it shows all that there is.
        parameters: What it shows of the choices made.
        tags: Ids of what is read, and where it runs.
    """

    experiment: str
    id: str
    key: str
    began: int
    model_id: str | None
    is_complete: bool
    parameters: Mapping[str, Any]
    tags: Mapping[str, str]

    def name(self, about: str = "") -> str:
        """Return a name that tells the run from every other: input, what is to be said of it, time."""
        moment = datetime.fromtimestamp(self.began / 1000, UTC)
        return f"{self.parameters['input']}{about and ': '}{about}, {moment:%Y-%m-%d %H:%M:%S}"


def open_run(
    client: Any, experiment: str, key: str, parameters: Mapping[str, Any], tags: Mapping[str, str]
) -> TrackedRun:
    """Return the run of a key, made if it is not there; one that is not finished runs again, by this process."""
    found = client.search_runs([experiment], f"tags.`{KEY_TAG}` = '{key}'", max_results=1)
    run = found[0] if found else client.create_run(experiment, tags={KEY_TAG: key, **tags})
    model_id, is_complete = run.data.tags.get(MODEL_TAG), run.info.status == FINISHED
    tracked = TrackedRun(experiment, run.info.run_id, key, run.info.start_time, model_id, is_complete, parameters, tags)
    if not found:
        log_batch(client, tracked.id, [], parameters, {NAME_TAG: tracked.name()})
    elif not is_complete:
        client.update_run(tracked.id, "RUNNING")
        log_batch(client, tracked.id, [], {}, tags)
    return tracked


def origin_tags() -> dict[str, str]:
    """Return tags that say which process of whom runs which code, and for which flow run of Prefect."""
    from mlflow.utils.git_utils import get_git_commit

    flow, deployed = str(flow_run.flow_name or "train"), deployment.name
    tags = {
        WRITER_TAG: temporary_name(),
        "mlflow.user": psutil.Process().username(),
        "mlflow.source.name": f"{flow}/{deployed}" if deployed else f"flows/{flow}.py",
        "mlflow.source.type": "JOB" if deployed else "LOCAL",
        "mlflow.source.git.commit": get_git_commit(str(ROOT)),
        "prefect.deployment": deployed and f"{flow}/{deployed}",
        FLOW_RUN_TAG: flow_run.id,
        "prefect.flow_run": lasting_run_page(),
    }
    return {name: str(value) for name, value in tags.items() if value}


def log_batch(
    client: Any, run: str, metrics: Sequence[Any], parameters: Mapping[str, Any], tags: Mapping[str, Any]
) -> None:
    """Log metrics, entities of MLflow's, parameters and tags of a run; parameters that are None are left out."""
    from mlflow.entities import Param, RunTag

    client.log_batch(
        run,
        metrics,
        [Param(name, str(value)) for name, value in parameters.items() if value is not None],
        [RunTag(name, str(value)) for name, value in tags.items()],
    )
