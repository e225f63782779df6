"""Kill a server that takes events at random moments, and look for events that are lost or there twice.

    python -m benchmarks.events_kill --kills 200

The server is a real ``python -m serving`` with two workers, one journal and a store. Clients post events all the time,
send again what was not acknowledged, and note what was. The server with all its workers is killed with SIGKILL at a
moment drawn evenly over its first seconds, its start among them, and started again. In the end every event that was
acknowledged must be in the journal once, and in the store once.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from benchmarks import harness
from benchmarks.measuring import Spread
from flows.child_server import LOOPBACK, free_port, inherited
from schema.errors import Unavailable
from serving.events import Journal
from storage import layout
from storage.events import list_batches, read_lines
from storage.opening import open_store

START_SECONDS = 60.0
N_USERS = 1000
COLUMNS = (
    ("kills", "kills", 0),
    ("while it started", "early_kills", 0),
    ("acknowledged", "acknowledged", 0),
    ("sent again", "sent_again", 0),
    ("lost", "lost", 0),
    ("twice", "twice", 0),
)


@dataclass
class Client:
    """Posts events until it is stopped; one that was not acknowledged is sent again.

    Attributes:
        name: Part of the ids of its events.
        acknowledged: Ids of the events that the server took.
        n_again: Requests that were sent again.
    """

    name: str
    port: int
    acknowledged: list[str] = field(default_factory=list)
    n_again: int = 0
    is_stopped: threading.Event = field(default_factory=threading.Event)

    def post(self) -> None:
        """Post events, one to three at a time, until it is stopped and the last ones are acknowledged."""
        number = 0
        while not self.is_stopped.is_set():
            ids = [f"{self.name}-{number}-{part}" for part in range(1 + number % 3)]
            while not self._is_taken(ids):
                self.n_again += 1
                time.sleep(0.01)
            self.acknowledged += ids
            number += 1

    def _is_taken(self, ids: Sequence[str]) -> bool:
        events = [
            {"event_id": one, "type": "view", "user_id": f"user-{hash(one) % N_USERS}", "item_id": "kettle"}
            for one in ids
        ]
        connection = HTTPConnection(LOOPBACK, self.port, timeout=10)
        try:
            body = json.dumps({"events": events})
            connection.request("POST", "/v1/events", body, {"Content-Type": "application/json"})
            return connection.getresponse().status == 202
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()


@contextmanager
def running(folder: Path, port: int) -> Iterator[None]:
    """Run a server with a journal and a store in a folder, and kill it with all its workers at the end."""
    command = [sys.executable, "-m", "serving", "--port", str(port), "--api-workers", "2", "--api-ship-seconds", "0.2"]
    command += ["--store", str(folder / "store"), "--work-dir", str(folder / "work"), "--log-level", "ERROR"]
    command += ["--api-events-dir", str(folder / "events")]
    with (folder / "log").open("ab") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=inherited(), start_new_session=True)
    try:
        yield
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def kill_often(folder: Path, n_kills: int, seconds: float, seed: int) -> dict[str, int]:
    """Kill a server while clients post, and return what came of it; see COLUMNS.

    Args:
        folder: Where journal and store are; they are made.
        n_kills: How often.
        seconds: Latest moment of a kill, after the start of the server.
        seed: Seed of the moments.

    Raises:
        Unavailable: If the server takes no event in the end.
    """
    draw, port, n_early = random.Random(seed), free_port(), 0  # noqa: S311 - not for secrets
    clients = [Client(f"client{number}", port) for number in range(4)]
    threads = [threading.Thread(target=one.post, daemon=True) for one in clients]
    for one in threads:
        one.start()
    for number in range(n_kills):
        n_before = sum(len(one.acknowledged) for one in clients)
        with running(folder, port):
            time.sleep(draw.uniform(0, seconds))
        n_after = sum(len(one.acknowledged) for one in clients)
        n_early += n_after == n_before
        if number % 10 == 9:
            harness.say(f"{number + 1} of {n_kills} kills, {n_after:,} events acknowledged")
    for client in clients:
        client.is_stopped.set()
    with running(folder, port):
        for one in threads:
            one.join(START_SECONDS)
        if any(one.is_alive() for one in threads):
            raise Unavailable(
                f"The server takes no events {START_SECONDS:.0f} s after its last start: see {folder}/log."
            )
    acknowledged = [one for client in clients for one in client.acknowledged]
    lost, twice = look(folder, acknowledged)
    found = {"kills": n_kills, "early_kills": n_early, "acknowledged": len(acknowledged)}
    return found | {"sent_again": sum(one.n_again for one in clients), "lost": lost, "twice": twice}


def look(folder: Path, acknowledged: Sequence[str]) -> tuple[int, int]:
    """Return how many events are missing in the journal or the store, and how many are there more than once."""
    journal, store = Journal(folder / "events"), open_store(str(folder / "store"))
    journal.ship(store)
    kept = Counter(one.event_id for number in range(N_USERS) for one in journal.of_user(f"user-{number}"))
    journal.close()
    lines = read_lines(store, list_batches(store, layout.EVENTS))
    shipped = Counter(json.loads(line)["event_id"] for line in lines)
    n_lost = sum(not (kept[one] and shipped[one]) for one in acknowledged)
    return n_lost, sum(count > 1 for counts in (kept, shipped) for count in counts.values())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; 0 if no acknowledged event is lost and none is there twice, else 1."""
    parser = harness.command_parser("events_kill", __doc__)
    parser.add_argument("--kills", type=harness.at_least_one, default=200, help="kills of the server (200)")
    parser.add_argument("--seconds", type=float, default=4.0, help="latest moment of a kill after a start (4)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the moments (1)")
    return harness.run_command(parser, _run, arguments)


def _run(chosen: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="recommender-events-") as folder:
        found = kill_often(Path(folder), chosen.kills, chosen.seconds, chosen.seed)
    figures = harness.Figures("journal", "", {name: Spread.of([value]) for name, value in found.items()})
    console = harness.open_console(120)
    console.print(harness.make_table("Events after kills", ["where"], COLUMNS, {("journal and store",): figures}))
    machine = harness.describe_machine()
    console.print(f"Machine: {machine}")
    harness.write_rows(chosen.json, harness.rows_of([figures], {"machine": machine}))
    return harness.FAILED if found["lost"] or found["twice"] else harness.DONE


if __name__ == "__main__":
    sys.exit(main())
