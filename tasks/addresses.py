"""Addresses of the pages on which people see a run, a model or an artifact: Prefect's, MLflow's and MinIO's console's.

Each function returns None where there is no page to name, as for a store in a folder. No address has a password in it.
"""

import re
from urllib.parse import quote
from uuid import UUID

import httpx
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL
from prefect.utilities.urls import url_for

from storage.s3_options import S3_SCHEME, S3Options

WEB = ("http://", "https://")
MODEL_TRAINING_VIEW = "workflowType=machine_learning"  # without it a browser opens what is for GenAI
PASSING: set[str | None] = set()  # APIs of servers that end with this process


def flow_run_page(run_id: UUID | str | None = None) -> str | None:
    """Return the page of a flow run, by default the one that this code runs in, on the server of its Prefect API."""
    identity = run_id or flow_run.id
    return hide_user(url_for("flow-run", obj_id=identity) or "") or None if identity else None


def lasting_run_page() -> str | None:
    """Return the page of this flow run, for records that outlive it: None where the run brought its own server."""
    return None if PREFECT_API_URL.value() in PASSING else flow_run_page()


def mlflow_run_page(tracking_uri: str, experiment: str, run: str, artifact: str = "") -> str | None:
    """Return the page of an MLflow run, or of one of its artifacts, which shows HTML as HTML.

    Example:
        >>> mlflow_run_page("https://ada:secret@host:5000/", "1", "ab12")
        'https://host:5000/#/experiments/1/runs/ab12?workflowType=machine_learning'
        >>> mlflow_run_page("http://host", "1", "ab12", "report.html")
        'http://host/#/experiments/1/runs/ab12/artifacts/report.html?workflowType=machine_learning'
        >>> mlflow_run_page("sqlite:///mlflow.db", "1", "ab12")
    """
    return _mlflow(
        tracking_uri, f"experiments/{experiment}/runs/{run}" + (f"/artifacts/{artifact}" if artifact else "")
    )


def mlflow_model_page(tracking_uri: str, name: str) -> str | None:
    """Return the page of a registered model, which shows its versions and which of them is the champion.

    Example:
        >>> mlflow_model_page("http://host:5000", "A name")
        'http://host:5000/#/models/A%20name?workflowType=machine_learning'
    """
    return _mlflow(tracking_uri, f"models/{quote(name, safe='')}")


def store_page(store_uri: str, s3: S3Options, key: str) -> str | None:
    """Return the page of the S3 server's console on which an object, or with a slash at its end a folder, is seen.

    Whoever has not logged in to the console is asked to first, and sees the page then.

    Example:
        >>> store_page("s3://shop/a", S3Options(s3_console_url="http://host:9001"), "reports/cd34/")
        'http://host:9001/browser/shop/a%2Freports%2Fcd34%2F'
        >>> store_page("data/store", S3Options(), "reports/cd34/")
    """
    if not (s3.s3_console_url and store_uri.startswith(S3_SCHEME)):
        return None
    bucket, _, prefix = store_uri.removeprefix(S3_SCHEME).strip("/").partition("/")
    path = f"{prefix}/{key}" if prefix else key
    return f"{hide_user(s3.s3_console_url).rstrip('/')}/browser/{bucket}/{quote(path, safe='')}"


def health_problem(url: str) -> str | None:
    """Return what is wrong with the server of an API, to follow its name in a sentence; None if it is healthy."""
    address = httpx.URL(url)
    try:
        answer = httpx.get(address.copy_with(path=f"{address.path.rstrip('/')}/health"), timeout=10)
    except httpx.HTTPError as error:
        return f"does not answer ({type(error).__name__})"
    if answer.is_success:
        return None
    who = "; give a user who may in the address" if answer.status_code in (401, 403) else ""
    return f"answers {answer.status_code} {answer.reason_phrase} where it should say that it is healthy{who}"


def hide_user(address: str) -> str:
    """Return an address, of a server or a database, without user name and password.

    Example:
        >>> hide_user("postgresql://ada:secret@host/mlflow")
        'postgresql://host/mlflow'
    """
    return re.sub(r"//[^/@]*@", "//", address)


def _mlflow(tracking_uri: str, page: str) -> str | None:
    address = f"{hide_user(tracking_uri).rstrip('/')}/#/{page}?{MODEL_TRAINING_VIEW}"
    return address if tracking_uri.startswith(WEB) else None
