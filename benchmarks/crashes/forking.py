"""A process that has imported everything, opened nothing, and forks a training whenever it is told to.

    python -m benchmarks.crashes.forking

Each training starts as ``python flows/train.py`` would after its imports, which take far longer than what a killed
training still has to do. Orders come as lines of JSON on standard input, answers go as lines of JSON to standard
output: ``ready`` once, then for every training its process id and, when it has ended, its exit code (negative for
a signal). Any order that comes while a training runs kills it with SIGKILL, and is no training itself; so does the
end of standard input, which the operating system closes when whoever gives the orders is gone.
"""

import gc
import json
import os
import select
import signal
import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn

KILL = {"kill": True}
STANDARD_INPUT = 0
_keep: list[object] = []
CRASHED = 70


def serve() -> None:
    """Fork trainings, one after the other, until standard input ends."""
    main = _import_all()
    gc.freeze()  # what all trainings share is never looked at again
    _answer(ready=True)
    with os.fdopen(STANDARD_INPUT, "rb", buffering=0, closefd=False) as orders:
        while line := orders.readline():
            order = json.loads(line)
            if order == KILL:  # was obeyed, or came too late
                continue
            child = os.fork()
            if child == 0:
                _train(main, order)
            _answer(pid=child)
            _answer(code=_await(child))


def _import_all() -> Any:
    """Import what a training imports, early or late, without opening anything; return the training."""
    import mlflow.store.tracking.sqlalchemy_store as tracking_store
    import pandera
    import pyspark.ml.recommendation as als
    import pyspark.sql.pandas.conversion as conversion

    import storage.s3 as s3_store
    from flows.train import main
    from tasks.tracking import load_mlflow

    load_mlflow()
    _keep.extend((tracking_store, pandera, als, conversion, s3_store))
    return main


def _train(main: Any, order: dict[str, Any]) -> NoReturn:
    """Be a training: in a session, a working folder and a log file of its own."""
    code = CRASHED
    try:
        os.setsid()
        _redirect(Path(order["log"]))
        os.environ.update(order["environment"])
        os.chdir(order["folder"])
        code = main(order["arguments"])
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else CRASHED
    except Exception:
        traceback.print_exc()
        raise
    finally:
        sys.stderr.flush()
        os._exit(code)


def _redirect(log: Path) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for source, target in ((nothing, 0), (said, 1), (said, 2)):
        os.dup2(source, target)
    os.close(nothing)
    os.close(said)


def _await(child: int) -> int:
    """Return the exit code of a training, after killing it if anything is said meanwhile."""
    ended = os.pidfd_open(child)
    poll = select.poll()
    poll.register(ended, select.POLLIN)
    poll.register(STANDARD_INPUT, select.POLLIN | select.POLLHUP)
    try:
        if ended not in dict(poll.poll()):
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status)
    finally:
        os.close(ended)


def _answer(**said: Any) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    serve()
