"""From a flow that takes settings to one that a Prefect worker can run, whose parameters a form can show.

What is done is said by the parameters, flat and with the defaults of the settings; where it is done (store, tracking,
engines, addresses, secrets) by the environment of the worker, so that none of that is ever a parameter. It is the
flow itself that runs, not a flow around it, so that a run is one run in the UI.
"""

import inspect
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from prefect import Flow, tags
from prefect.context import FlowRunContext
from prefect_dask.client import PrefectDaskClient
from prefect_dask.task_runners import DaskTaskRunner
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from flows.command_line import explain
from flows.options import DaskOptions, NoticeOptions, RunOptions
from flows.running import heap_of, open_dask, telling_of_dask
from flows.settings import Settings
from reviews.options import DownloadOptions
from schema.errors import InvalidInput
from spark.options import SparkOptions
from tasks.options import LogOptions, PlaceOptions, TrackingOptions
from tasks.processes import prepare_process

FROM_ENVIRONMENT = (
    PlaceOptions,
    DownloadOptions,
    TrackingOptions,
    SparkOptions,
    DaskOptions,
    NoticeOptions,
    RunOptions,
)


class EnvironmentDaskRunner(DaskTaskRunner):
    """Runs tasks on the Dask that the process's environment names, or on workers of the run's own.

    It is opened when the first task is submitted: every task, wherever it runs, enters the runner of its flow anew.
    """

    def __init__(self) -> None:
        super().__init__()

    def duplicate(self) -> "EnvironmentDaskRunner":
        """Return the runner of one run."""
        return type(self)()

    @property
    def client(self) -> PrefectDaskClient:
        """The way to the scheduler."""
        if self._client is None:
            settings = read_settings({})
            opened = open_dask(settings.part(DaskOptions), settings.part(LogOptions), heap_of(settings))
            self.address = self._exit_stack.enter_context(opened)
        return super().client


def deployed(flow: Flow[..., Any], parts: Sequence[type[BaseModel]]) -> Flow[..., Any]:
    """Return a flow with a flow's name and body, and the fields of its options as parameters.

    Args:
        flow: Takes one parameter, ``settings``.
        parts: The options that it obeys; those of `FROM_ENVIRONMENT` are read where it runs.
    """
    fields = {
        name: field for part in parts if part not in FROM_ENVIRONMENT for name, field in part.model_fields.items()
    }

    def run(**parameters: Any) -> Any:
        settings = read_settings(parameters)
        prepare_process(settings.part(LogOptions))
        with tags(settings.environment):
            return telling_of_dask(flow.fn)(settings)

    run.__name__ = run.__qualname__ = flow.name
    run.__doc__ = _docstring(flow, fields)
    run.__dict__["__signature__"] = inspect.Signature([_parameter(name, field) for name, field in fields.items()])
    runner: Any = EnvironmentDaskRunner()  # Prefect's runners are invariant in the kind of their futures
    return Flow(
        run,
        name=flow.name,
        description=flow.description,
        flow_run_name=lambda: _name_run(flow),
        task_runner=runner,
        on_failure=flow.on_failure_hooks,
        on_crashed=flow.on_crashed_hooks,
    )


def read_settings(parameters: Mapping[str, Any]) -> Settings:
    """Return settings of parameters, and of the environment for what is no parameter or was left open.

    Raises:
        InvalidInput: If a value does not fit.
    """
    try:
        return Settings(**{name: value for name, value in parameters.items() if value is not None})
    except ValidationError as error:
        raise InvalidInput(explain(error, Settings).strip()) from error


def _name_run(flow: Flow[..., Any]) -> str:
    """Return the name that the flow gives its run, which it makes of ``settings``; if they do not fit, the flow's own.

    The run itself then fails with what is wrong.
    """
    context = FlowRunContext.get()
    assert context is not None  # noqa: S101 - for the type checker: Prefect asks for the name in it
    try:
        named = {"settings": read_settings(context.parameters or {})}
    except InvalidInput:
        return flow.name
    with context.model_copy(update={"parameters": named}):
        return flow.flow_run_name() if callable(flow.flow_run_name) else str(flow.flow_run_name).format(**named)


def _parameter(name: str, field: FieldInfo) -> inspect.Parameter:
    annotation: Any = field.annotation
    for constraint in field.metadata:
        annotation = Annotated[annotation, constraint]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=annotation)


def _docstring(flow: Flow[..., Any], fields: Mapping[str, FieldInfo]) -> str:
    """Return a docstring in Google's style, from which Prefect takes the descriptions of parameters."""
    described = "\n".join(f"    {name}: {_capitalised(field.description or '')}" for name, field in fields.items())
    return f"{flow.description}\n\nArgs:\n{described}\n"


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]
