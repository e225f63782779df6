"""All that a training says, from every process of it, is one stream of lines of one form."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from workplace import Outcome, Workplace

KEYS = {"time", "level", "source", "message", "flow_run", "flow_run_id", "task_run", "exception"}


@pytest.fixture(scope="module")
def told(
    new_workplace: Callable[[], Workplace], sample_flags: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Outcome:
    """What a training in JSON says, on Dask workers of its own and with something for Spark to warn of."""
    conf = tmp_path_factory.mktemp("spark-conf")
    (conf / "spark-defaults.conf").write_text("spark.cache.class gone-since-spark-0.8\n")
    workplace = new_workplace()
    flags = [*sample_flags, "--dask-workers", "1", "--log-format", "json"]
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SPARK_CONF_DIR", str(conf))
        outcome = workplace.run_apart("train", *flags)
    assert outcome.code == 0, outcome.stderr
    return outcome


@pytest.fixture(scope="module")
def lines(told: Outcome) -> list[dict[str, Any]]:
    return [json.loads(line) for line in told.stderr.splitlines()]


def test_every_line_of_a_training_is_json_where_asked_for(lines):
    assert lines
    assert [line for line in lines if set(line) != KEYS] == []


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("prefect", "View at"),
        ("tasks.dataset", "k-core pass 1"),
        ("tasks.store", "scores/"),  # by a Dask worker
        ("spark", "spark.cache.class"),
    ],
)
def test_lines_of_all_who_speak_in_a_run_name_it(lines, source, said):
    [run] = {line["flow_run_id"] for line in lines if line["flow_run_id"]}
    found = [line for line in lines if line["source"] == source and said in line["message"]]
    assert found
    assert {(line["flow_run_id"], line["flow_run"]) for line in found} == {(run, "train on sample-reviews.json.gz")}


def test_warning_of_spark_names_the_task_that_has_it_open(lines):
    tasks = {line["task_run"] for line in lines if line["source"] == "spark"}
    assert any(name.startswith("build dataset") for name in tasks)
    assert any(name.startswith("fit als-implicit") for name in tasks)


def test_text_names_run_and_task_on_every_line_of_a_run_and_stays_terse(trained):
    said = trained[1]["stderr"].splitlines()
    published = [line for line in said if line.endswith("published") and "fits/" in line]
    assert published
    for line in published:
        time, level, rest = line.split(" | ", 2)
        run, _, task = rest.partition(" Task run ")
        assert (len(time), level.strip(), len(run)) == (len("12:00:00.000"), "INFO", 8)
        assert task.startswith("'fit ")
    assert not [line for line in said if " spark: " in line], "Spark warns of nothing in a run as it should be"


def test_spark_jvm_and_library_warnings_reach_no_other_stream(told):
    assert told.stdout == ""
