"""SIGTERM to a command: it ends in order, with all that it has open closed, and it does end."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

INSIST_SECONDS = 20.0  # by when a run that heard it has closed Spark and told the Prefect server


class Terminated(BaseException):
    """SIGTERM came."""


class Termination:
    """Whether SIGTERM came."""

    def __init__(self) -> None:
        self.is_asked_for = False


@contextmanager
def raising_on_sigterm() -> Iterator[Termination]:
    """Have SIGTERM raise an exception in the main thread, again and again until what is in here has ended.

    Terminated, or in a flow what Prefect raises itself, which passes the signal on to here afterwards. An exception
    that comes out of nowhere can be lost, as in a callback of a library that takes it for an error of its own. So a
    thread, which is told of the signal whoever handles it, sends it again if nothing has come of it. In another thread
    than the main one, which alone may handle signals, nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield Termination()
        return
    termination, ended = Termination(), threading.Event()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    def insist() -> None:
        while signal.SIGTERM in os.read(reader, 1):
            termination.is_asked_for = True
            if ended.wait(INSIST_SECONDS):
                return
            os.kill(os.getpid(), signal.SIGTERM)

    def terminate(*_: object) -> NoReturn:
        termination.is_asked_for = True
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    told_before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    thread = threading.Thread(target=insist, name="sigterm", daemon=True)
    thread.start()
    try:
        yield termination
    finally:
        ended.set()
        signal.set_wakeup_fd(told_before)
        signal.signal(signal.SIGTERM, before)
        os.close(writer)
        thread.join()
        os.close(reader)
