"""What a Spark session moved: shuffled, broadcast, and sent to its driver, from the status that its JVM keeps."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pyspark.sql import SparkSession

SHUFFLE, BROADCAST = "shuffle", "broadcast"
# Kind, metric of its rows and metric of its bytes, by the name that a node of a plan has.
EXCHANGES = {
    "Exchange": (SHUFFLE, "shuffle records written", "shuffle bytes written"),
    "BroadcastExchange": (BROADCAST, "number of output rows", "data size"),
}
UNITS = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4}
LEAST_ROWS = 100  # less is a count or a sum
BROADCAST_TAG = "broadcast exchange"  # begins a tag of each job that collects what is broadcast


@dataclass(frozen=True)
class Stage:
    """A stage that ran.

    Attributes:
        stage_id: Ids rise with time.
        is_broadcast: Whether its results were collected to be sent to all executors.
        n_tasks: Tasks that were completed.
        result_bytes: What they sent to the driver, with a few KB of figures about each.
        written_bytes, read_bytes: Of shuffles.
    """

    stage_id: int
    is_broadcast: bool
    n_tasks: int
    result_bytes: int
    written_bytes: int
    read_bytes: int


@dataclass(frozen=True)
class Exchange:
    """A shuffle or a broadcast of a plan that was carried out.

    Attributes:
        kind: SHUFFLE or BROADCAST.
        about: How rows were dealt out, as the plan says.
        n_rows: Rows that were moved.
        n_bytes: Of a shuffle as written, compressed; of a broadcast as the table lies in memory.
    """

    kind: str
    about: str
    n_rows: int
    n_bytes: int


def find_stages(session: SparkSession) -> list[Stage]:
    """Return the stages of a session that have run until now."""
    context: Any = session.sparkContext._jsc.sc()
    gateway: Any = session.sparkContext._gateway
    context.listenerBus().waitUntilEmpty()
    status, nothing = context.statusStore(), gateway.jvm.java.util.ArrayList()
    no_quantiles = gateway.new_array(gateway.jvm.double, 0)
    jobs = list(_all(status.jobsList(nothing)))
    sent_to_all = {
        int(stage)
        for job in jobs
        if any(tag.startswith(BROADCAST_TAG) for tag in _all(job.jobTags()))
        for stage in _all(job.stageIds())
    }
    stages = [
        Stage(
            stage.stageId(),
            stage.stageId() in sent_to_all,
            stage.numCompleteTasks(),
            stage.resultSize(),
            stage.shuffleWriteBytes(),
            stage.shuffleReadBytes(),
        )
        for stage in _all(status.stageList(nothing, False, False, no_quantiles, nothing))
    ]
    return sorted((one for one in stages if one.n_tasks), key=lambda one: one.stage_id)


def find_exchanges(session: SparkSession) -> list[Exchange]:
    """Return the exchanges of a session until now, in the order of its queries; those that were reused count once."""
    session.sparkContext._jsc.sc().listenerBus().waitUntilEmpty()
    status = session._jsparkSession.sharedState().statusStore()
    queries = [query.executionId() for query in _all(status.executionsList())]
    return [one for query in queries for one in _exchanges(status.planGraph(query), status.executionMetrics(query))]


def _exchanges(plan: Any, values: Any) -> Iterator[Exchange]:
    for node in _all(plan.allNodes()):
        if node.name() in EXCHANGES:
            kind, *metrics = EXCHANGES[node.name()]
            found = {one.name(): values.get(one.accumulatorId()) for one in _all(node.metrics())}
            said = [found[name].get() for name in metrics if name in found and found[name].isDefined()]
            if len(said) == len(metrics):
                yield Exchange(kind, shorten(node.desc()), read_metric(said[0]), read_metric(said[1]))


def shorten(description: str) -> str:
    """Return how an exchange deals out rows, without the numbers that differ from plan to plan.

    Example:
        >>> shorten("Exchange hashpartitioning(user_key#24L, 3), ENSURE_REQUIREMENTS, [plan_id=565]")
        'hashpartitioning(user_key, 3)'
        >>> shorten("BroadcastExchange HashedRelationBroadcastMode(List(input[0, bigint, false]),false), [plan_id=9]")
        'List(input[0, bigint, false])'
    """
    without = r"^\w+ |#\d+L?|, ENSURE_REQUIREMENTS|, REPARTITION_\w+|, \[plan_id=\d+\]|HashedRelationBroadcastMode\("
    return re.sub(r"\),false\)$", ")", re.sub(without, "", description))


def summarise_traffic(session: SparkSession) -> dict[str, Any]:
    """Return what a session has moved until now, as JSON values: bytes, and each exchange of more than 100 rows."""
    stages, exchanges = find_stages(session), find_exchanges(session)
    return {
        "written_bytes": sum(one.written_bytes for one in stages),
        "read_bytes": sum(one.read_bytes for one in stages),
        "broadcast_bytes": sum(one.n_bytes for one in exchanges if one.kind == BROADCAST),
        "result_bytes": sum(one.result_bytes for one in stages if not one.is_broadcast),
        "exchanges": [vars(one) for one in exchanges if one.n_rows > LEAST_ROWS],
    }


def _all(sequence: Any) -> Iterator[Any]:
    """Yield the elements of a sequence of Scala."""
    elements = sequence.iterator()
    while elements.hasNext():
        yield elements.next()


def read_metric(text: str) -> int:
    r"""Return the total of a metric, as Spark writes it for people.

    Example:
        >>> read_metric("1,234"), read_metric("total (min, med, max)\n2.0 KiB (1.0 KiB, 1.0 KiB, 1.0 KiB)")
        (1234, 2048)
    """
    number, unit = re.match(r"([\d.,]+) ?(\w+)?", text.splitlines()[-1]).groups("B")  # type: ignore[union-attr]
    return round(float(number.replace(",", "")) * UNITS[unit])
