"""A flow in the form in which deployments run it: flat parameters, one run, its own name, an engine of its own."""

from contextlib import AbstractContextManager
from typing import Any

import pytest
from prefect import flow, task
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName
from prefect.exceptions import ParameterTypeError
from prefect.runtime import flow_run

from deployments.runs import building
from deployments.runs.building import deployed, read_settings
from flows.options import DaskOptions, RunOptions
from flows.running import open_dask
from flows.settings import Settings
from models.als import AlsOptions
from schema.errors import InvalidInput
from spark.options import DatasetOptions
from tasks.options import LogOptions, PlaceOptions, ReviewsInput

PARTS = (ReviewsInput, DatasetOptions, AlsOptions, PlaceOptions, DaskOptions, RunOptions)


def name_by_settings() -> str:
    settings: Settings = flow_run.parameters["settings"]
    return f"called for {settings.input_name}"


@task
def double(number: int) -> int:
    return 2 * number


@flow(name="told", flow_run_name="told of {settings.input_name}")
def told(settings: Settings) -> dict[str, Any]:
    """Tell what arrived."""
    doubled = double.submit(settings.min_interactions).result()
    return {"doubled": doubled, "rank": settings.als_rank, "store": settings.store_uri}


@flow(name="parted", flow_run_name="parted")
def parted(settings: Settings) -> dict[str, Any]:
    """Do much at once."""
    return {"sum": sum(one.result() for one in [double.submit(number) for number in range(8)])}


@flow(name="called", flow_run_name=name_by_settings)
def called(settings: Settings) -> dict[str, Any]:
    """Say nothing."""
    return {}


def n_runs(name: str) -> int:
    with get_client(sync_client=True) as client:
        return len(client.read_flow_runs(flow_run_filter=FlowRunFilter(name=FlowRunFilterName(any_=[name]))))


def test_parameters_come_from_the_call_and_places_from_the_environment(
    prefect_api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORE_URI", "elsewhere/store")
    monkeypatch.setenv("MIN_INTERACTIONS", "9")
    run = deployed(told, PARTS)
    result = run(input_reviews="a/told-1.csv", min_interactions=3, als_rank=[4, 8])
    assert result == {"doubled": 6, "rank": (4, 8), "store": "elsewhere/store"}
    assert n_runs("told of told-1.csv") == 1


def test_what_is_left_open_comes_from_the_environment_and_what_has_a_default_does_not(
    prefect_api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INPUT_REVIEWS", "b/told-2.csv")
    monkeypatch.setenv("MIN_INTERACTIONS", "9")
    assert deployed(told, PARTS)()["doubled"] == 2 * Settings.model_fields["min_interactions"].default
    assert n_runs("told of told-2.csv") == 1


def test_name_that_a_function_makes_of_the_settings_is_kept(prefect_api: str) -> None:
    deployed(called, PARTS)(input_reviews="c/told-3.csv")
    assert n_runs("called for told-3.csv") == 1


def test_value_that_does_not_fit_and_unknown_parameter_are_refused(prefect_api: str) -> None:
    run = deployed(told, PARTS)
    with pytest.raises(ParameterTypeError, match="min_interactions"):
        run(min_interactions=0)
    with pytest.raises(TypeError, match="store_uri"):
        run(store_uri="elsewhere")


def test_environment_that_does_not_fit_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASK_WORKERS", "many")
    with pytest.raises(InvalidInput, match=r"--dask-workers \(or DASK_WORKERS\): .*found 'many'"):
        read_settings({})


def test_run_whose_settings_do_not_fit_fails_by_that_message(prefect_api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_DRIVER_MEMORY", "much")
    state = deployed(told, PARTS)(return_state=True)
    assert (state.name, n_runs("told")) == ("Failed", 1)
    assert "--spark-driver-memory (or SPARK_DRIVER_MEMORY)" in state.message


def test_one_dask_is_opened_for_a_run_however_many_tasks_it_has(
    prefect_api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[DaskOptions] = []

    def open_and_note(options: DaskOptions, log: LogOptions, heap: str) -> AbstractContextManager[str]:
        opened.append(options)
        return open_dask(options, log, heap)

    monkeypatch.setattr(building, "open_dask", open_and_note)
    assert deployed(parted, PARTS)() == {"sum": 56}
    assert len(opened) == 1
