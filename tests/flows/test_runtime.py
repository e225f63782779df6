"""A stage is one flow from the command line and as a deployment: parameters, environment, name and engine."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from prefect import Flow, task
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, FlowRunFilter, FlowRunFilterName
from prefect.exceptions import ParameterTypeError
from prefect.runtime import flow_run

from flows import runtime
from flows.cli import stage
from flows.settings import DEFAULT, Environment, input_name, read
from schema.errors import InvalidInput, InvalidSettings
from spark.options import DatasetOptions
from tasks.execution import doing_beside, start_dask
from tasks.options import ReviewsInput
from tasks.steps import REST, step


@task
def double(number: int) -> int:
    return 2 * number


def made(name: str, *, n_tasks: int = 1) -> Flow[..., Any]:
    """Return a stage of that name, whose runs are named for what they read."""

    def body(*, reviews: ReviewsInput = DEFAULT.reviews, dataset: DatasetOptions = DEFAULT.dataset) -> dict[str, Any]:
        """Tell what arrived."""
        doubled = [double.submit(dataset.min_interactions) for _ in range(n_tasks)]
        return {"doubled": sum(one.result() for one in doubled), "store": read(Environment).places.store_uri}

    body.__name__ = name
    flow: Flow[..., Any] = stage(lambda reviews, **_: f"{name} of {input_name(reviews)}")(body)
    return flow


def n_runs(name: str) -> int:
    with get_client(sync_client=True) as client:
        return len(client.read_flow_runs(flow_run_filter=FlowRunFilter(name=FlowRunFilterName(any_=[name]))))


def test_parameters_come_from_the_call_and_places_from_the_environment(prefect_api, monkeypatch):
    monkeypatch.setenv("STORE_URI", "elsewhere/store")
    monkeypatch.setenv("MIN_INTERACTIONS", "9")
    result = made("one")(reviews={"input_reviews": "a/file.csv"}, dataset={"min_interactions": 3})
    assert result == {"doubled": 6, "store": "elsewhere/store"}
    assert n_runs("one of file.csv") == 1


def test_a_run_of_several_steps_ends_with_where_its_time_went(prefect_api, tmp_path, monkeypatch):
    monkeypatch.setenv("STORE_URI", str(tmp_path))

    def body(*, dataset: DatasetOptions = DEFAULT.dataset) -> dict[str, Any]:
        """Take two steps."""
        for name in ("dataset", "split"):
            with step(name):
                pass
        return {"run": str(flow_run.id), "k": dataset.min_interactions}

    result = stage(lambda **_: "steps")(body)()
    assert list(result["seconds"]) == ["dataset", "split", REST]
    with get_client(sync_client=True) as client:
        [shown] = client.read_artifacts(artifact_filter=ArtifactFilter(flow_run_id={"any_": [result["run"]]}))
    assert (shown.key, shown.task_run_id is None) == ("seconds", False)
    assert [row["step"] for row in json.loads(str(shown.data))] == ["dataset", "split", REST, "all"]


def test_what_is_left_open_comes_from_the_environment_and_what_has_a_default_does_not(prefect_api, monkeypatch):
    monkeypatch.setenv("INPUT_REVIEWS", "https://ada:word@host/named.csv?sign=1")
    monkeypatch.setenv("MIN_INTERACTIONS", "9")
    assert made("two")()["doubled"] == 2 * DEFAULT.dataset.min_interactions
    assert n_runs("two of named.csv") == 1


def test_value_that_does_not_fit_and_unknown_parameter_are_refused(prefect_api):
    with pytest.raises(ParameterTypeError, match="min_interactions"):
        made("three")(dataset={"min_interactions": 0})
    with pytest.raises(TypeError, match="places"):
        made("three")(places={"store_uri": "elsewhere"})


@pytest.mark.parametrize("variable", ["SPARK_DRIVER_MEMORY", "NO_SUCH_SETTING"])
def test_run_whose_environment_does_not_fit_fails_by_that_message(variable, prefect_api, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(f"{variable}=much\n")
    state = made("four")(return_state=True)
    assert state.name == "Failed"
    assert variable in state.message
    with pytest.raises(InvalidInput, match=variable):
        state.result()


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"reviews": {"input_reviews": "a/file.csv"}, "dataset": {"min_interactions": "few"}}, "four of file.csv"),
        ({"dataset": {"min_interactions": "few"}}, "four of reviews_electronics.json.gz"),
        ({"reviews": {"input": "a/file.csv"}}, "four"),
    ],
)
def test_run_whose_parameters_are_refused_is_named(prefect_api, parameters, expected):
    before = n_runs(expected)
    state = made("four")(**parameters, return_state=True)
    assert state.is_failed()
    assert n_runs(expected) == before + 1


def test_run_whose_places_cannot_be_written_to_fails_before_its_work(prefect_api, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("WORK_DIR", str(tmp_path / "file" / "work"))
    with pytest.raises(InvalidSettings, match=r"WORK_DIR.*file/work cannot be written to .*Not a directory"):
        made("five")()


@pytest.fixture
def opened(monkeypatch) -> list[str]:
    """Return the addresses of the Dasks that runs open, as they open them."""
    addresses: list[str] = []
    own: Callable[[], Any] = runtime.open_dask

    @contextmanager
    def open_and_note() -> Iterator[str]:
        with own() as address:
            addresses.append(address)
            yield address

    monkeypatch.setattr(runtime, "open_dask", open_and_note)
    return addresses


def test_one_dask_is_opened_for_a_run_however_many_tasks_it_has(prefect_api, opened):
    assert made("five", n_tasks=8)() == {"doubled": 80, "store": "data/store"}
    assert len(opened) == 1


def test_dask_that_is_started_early_is_that_of_the_tasks(prefect_api, opened):
    def body() -> dict[str, Any]:
        """Start Dask, then submit a task."""
        with doing_beside(start_dask):
            pass
        n_early = len(opened)
        return {"doubled": double.submit(4).result(), "n_early": n_early}

    result: Any = stage(lambda: "early")(body)()
    assert (result["doubled"], result["n_early"], len(opened)) == (8, 1, 1)


def test_tasks_of_a_stage_run_in_worker_processes_where_asked_for(prefect_api, monkeypatch):
    monkeypatch.setenv("DASK_WORKERS", "1")
    assert made("six", n_tasks=2)()["doubled"] == 20
