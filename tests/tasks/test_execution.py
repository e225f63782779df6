"""Work beside other work: threads of a run, and Spark before it is needed."""

from contextvars import ContextVar

import pytest

from spark import session
from spark.options import SparkOptions
from tasks import execution
from tasks.execution import doing_beside, warm_up_spark
from tasks.options import PlaceOptions

RUN: ContextVar[str] = ContextVar("RUN")


def fail() -> None:
    raise LookupError("beside")


def test_jobs_beside_a_block_are_of_its_run_and_done_when_it_ends():
    seen: list[str] = []
    RUN.set("this run")
    with doing_beside(lambda: seen.append(RUN.get()), lambda: seen.append(RUN.get())):
        pass
    assert seen == ["this run", "this run"]


def test_what_fails_beside_a_block_fails_at_its_end_unless_the_block_itself_fails():
    done = False
    with pytest.raises(LookupError), doing_beside(fail):
        done = True
    assert done
    with pytest.raises(ZeroDivisionError), doing_beside(fail):
        raise ZeroDivisionError


def test_a_session_finds_the_jvm_of_a_warm_up(tmp_path):
    warm_up_spark(SparkOptions(), PlaceOptions(store_uri=str(tmp_path)))
    warm = session._jvms[0]
    with session.open_session(SparkOptions(), "after"):
        assert session._jvms == [warm]


def test_a_warm_up_leaves_a_cluster_and_a_limit_alone_and_what_goes_wrong_to_the_session(tmp_path, monkeypatch):
    places = PlaceOptions(store_uri=str(tmp_path))
    monkeypatch.setattr(session, "_jvms", [])
    warm_up_spark(SparkOptions(spark_master="spark://127.0.0.1:1"), places)
    with monkeypatch.context() as limited:
        limited.setattr(execution, "_is_limited", lambda: True)
        warm_up_spark(SparkOptions(), places)
    assert session._jvms == []
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "nothing"))
    warm_up_spark(SparkOptions(), places)
    assert session._jvms == []
