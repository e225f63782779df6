"""Runs that end badly are told, and only those."""

import json
import os
import subprocess
import sys
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from prefect import flow, task
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.flows import load_flow_from_entrypoint
from prefect.states import Crashed
from receiver import PLANTED, receiving, status

from flows import evaluate, ingest, recommend, train
from flows.notices import hide_secrets, send_notice
from flows.settings import Environment, Settings, read
from schema.errors import InvalidSettings
from tasks.drift import DriftRefused

ROOT = Path(__file__).parents[2]
FIELDS = {
    *("version", "event", "flow", "flow_run_name", "flow_run_id", "ui_url", "state", "error", "message"),
    *("failing_step", "what_to_do", "started_at", "ended_at", "store_uri", "host"),
}


def test_failing_training_is_told_with_the_step_that_failed(in_folder, monkeypatch, capfd, caplog):
    (in_folder / "input.csv").write_text("height,weight\n1,2\n3,4\n")
    monkeypatch.setattr(caplog.handler, "setLevel", lambda _level: None)  # it is raised as MLflow's tables are made
    flags = ["--input", "input.csv", "--store", "store", "--mlflow-tracking-uri", f"sqlite:///{in_folder / 'm.db'}"]
    with receiving(status(200)) as (url, received):
        monkeypatch.setenv("NOTICE_WEBHOOK_URL", url)
        assert train.main(flags) == 1
    (notice,) = received
    said = capfd.readouterr().err + caplog.text

    assert set(notice) == FIELDS
    assert (notice["version"], notice["event"], notice["flow"]) == (1, "flow_failed", "train")
    assert (notice["state"], notice["error"], notice["store_uri"]) == ("Failed", "InvalidInput", "store")
    assert notice["flow_run_name"] == "train on input.csv"
    assert notice["failing_step"].startswith("read raw file")
    assert "height" in notice["message"]
    assert "Do what the message says" in notice["what_to_do"]
    assert notice["flow_run_id"] in notice["ui_url"]
    assert notice["started_at"] < notice["ended_at"]
    assert "Notice of flow_failed posted to 127.0.0.1" in said
    with get_client(sync_client=True) as client:
        parameters = client.read_flow_run(UUID(notice["flow_run_id"])).parameters
    assert "notice_webhook_url" not in json.dumps(parameters)
    assert PLANTED not in said + json.dumps(parameters) + json.dumps(notice)


def test_run_that_succeeds_is_not_told(in_folder, monkeypatch):
    rows = [f"u{user},i{item}\n" for user in range(3) for item in range(3)]
    (in_folder / "input.csv").write_text("".join(["user,item\n", *rows]))
    with receiving(status(200)) as (url, received):
        monkeypatch.setenv("NOTICE_WEBHOOK_URL", url)
        assert ingest.main(["--input", "input.csv", "--store", "store", "--min-interactions", "1"]) == 0
    assert received == []


def test_server_that_refuses_the_notice_changes_nothing_and_is_logged(in_folder, monkeypatch, capfd, caplog):
    with receiving(status(404)) as (url, received):
        monkeypatch.setenv("NOTICE_WEBHOOK_URL", url)
        code = ingest.main(["--input", "nothing.csv", "--store", "store"])
    said = capfd.readouterr().err
    assert code == 1
    assert len(received) == 1
    assert "No notice of flow_failed: 127.0.0.1 did not take what was posted to it: it answered 404" in caplog.text
    assert "nothing.csv" in said
    assert "Traceback" not in said
    assert PLANTED not in said + caplog.text


def test_event_is_that_of_the_error_and_its_secrets_are_hidden(in_folder, monkeypatch):
    @task(name="judge", task_run_name=f"judge {PLANTED}")
    def judge() -> None:
        raise DriftRefused(f"s3://ada:w@r/d@host/x?sign=1 and {PLANTED}")

    @flow(name="refusing", flow_run_name=f"refusing {PLANTED}", on_failure=[send_notice])
    def refusing() -> None:
        judge()

    monkeypatch.setenv("SOME_TOKEN", PLANTED)
    with receiving(status(200)) as (url, received):
        monkeypatch.setenv("NOTICE_WEBHOOK_URL", url)
        with pytest.raises(DriftRefused):
            refusing()
    (notice,) = received
    assert notice["event"] == "drift_refused"
    assert notice["message"] == "s3://host/x?… and ***"
    assert (notice["flow_run_name"], notice["failing_step"]) == ("refusing ***", "judge ***")
    assert notice["store_uri"] == "data/store"


INTERRUPTED = """
import os, signal
from prefect import flow, task
from flows.notices import send_notice

@task(name="work")
def work():
    os.kill(os.getpid(), signal.SIGTERM)

@flow(name="interrupted", on_crashed=[send_notice])
def interrupted():
    work()

interrupted()
"""


def test_run_that_is_terminated_is_told_as_a_crash(in_folder):
    with receiving(status(200)) as (url, received):
        environment = os.environ | {"NOTICE_WEBHOOK_URL": url, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", INTERRUPTED], env=environment, capture_output=True, text=True, check=False
        )
    assert done.returncode != 0
    (notice,) = received
    assert (notice["event"], notice["state"], notice["flow"]) == ("flow_crashed", "Crashed", "interrupted")
    assert notice["failing_step"].startswith("work")
    assert "goes on from what is done" in notice["what_to_do"]
    assert PLANTED not in done.stdout + done.stderr


def test_worker_tells_of_a_run_whose_process_is_gone(in_folder, monkeypatch):
    run = FlowRun(id=uuid4(), flow_id=uuid4(), name="gone", parameters={})
    with receiving(status(200)) as (url, received):
        (in_folder / ".env").write_text(f"NOTICE_WEBHOOK_URL={url}\nSTORE_URI=s3://a:b@c/d\nNO_SUCH_SETTING=1\n")
        send_notice(flow=train.train, flow_run=run, state=Crashed(message="exit code -9"))
    (notice,) = received
    assert (notice["event"], notice["message"], notice["store_uri"]) == ("flow_crashed", "exit code -9", "s3://c/d")
    assert (notice["failing_step"], notice["started_at"], notice["error"]) == (None, None, None)


@pytest.mark.parametrize("name", ["train", "ingest", "evaluate", "recommend", "promote"])
@pytest.mark.parametrize("entrypoint", ["flows.{name}.{name}", "flows/{name}.py:{name}"])
def test_flow_that_a_worker_loads_has_its_hooks(entrypoint, name):
    loaded = load_flow_from_entrypoint(entrypoint.format(name=name))
    ends = ["end_tracked_runs"] if name == "train" else []
    for hooks in (loaded.on_failure_hooks, loaded.on_crashed_hooks):
        assert [hook.__name__ for hook in hooks] == ["name_unstarted", *ends, "send_notice"]
    assert [hook.__name__ for hook in loaded.on_cancellation_hooks] == ends


@pytest.mark.parametrize("url", [f"ftp://host/{PLANTED}", PLANTED, f"https:///{PLANTED}", f"http://[{PLANTED}"])
def test_address_that_is_none_is_refused_without_being_shown(url, monkeypatch):
    monkeypatch.setenv("NOTICE_WEBHOOK_URL", url)
    with pytest.raises(InvalidSettings) as refusal:
        read(Environment)
    said = str(refusal.value)
    assert "NOTICE_WEBHOOK_URL: expected an http:// or https:// address" in said
    assert PLANTED not in said


def test_address_is_in_no_dump_no_schema_and_no_help(monkeypatch):
    monkeypatch.setenv("NOTICE_WEBHOOK_URL", f"https://host/{PLANTED}")
    settings = read(Settings)
    dumps = [settings.model_dump_json(), json.dumps(Settings.model_json_schema())]
    assert PLANTED not in "".join(dumps) + repr(settings) + str(settings.model_dump())
    assert "notice_webhook_url" not in "".join(dumps)
    for stage in (train, ingest, evaluate, recommend):
        with pytest.raises(SystemExit):
            stage.main(["--notice-webhook-url", "https://host/x"])


def test_every_field_and_every_event_is_documented():
    page = (ROOT / "docs" / "notices.md").read_text("utf-8")
    example = json.loads(page.split("```json\n")[1].split("```")[0])
    assert set(example) == FIELDS
    assert [field for field in FIELDS if f"| `{field}` |" not in page] == []
    events = ("flow_failed", "flow_crashed", "drift_refused", "promotion_refused")
    assert [event for event in events if f"| `{event}` |" not in page] == []


def test_long_messages_are_cut():
    assert len(hide_secrets("x" * 10_000, [])) == 2000
