"""End a command in order on SIGTERM: close what is open, and insist where a library swallows the signal."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

INSIST_SECONDS = 20.0  # by when a run that heard it has closed Spark and told the Prefect server


class Terminated(BaseException):
    """Raised in the main thread on SIGTERM."""


class Termination:
    """A record of whether SIGTERM came."""

    def __init__(self) -> None:
        self.is_asked_for = False


@contextmanager
def raising_on_sigterm() -> Iterator[Termination]:
    """Raise an exception in the main thread on SIGTERM, repeatedly until the body of the context has ended.

    The exception is `Terminated`, or within a flow Prefect's own, which passes the signal on to this handler
    afterwards. An exception that is raised at any point can be lost, for instance in a callback of a library that takes
    it for an error of its own. So a thread, which sees the signal whoever handles it, sends it again if the body goes
    on. Outside the main thread, which alone may handle signals, nothing is changed.
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
    wakeup_before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    thread = threading.Thread(target=insist, name="sigterm", daemon=True)
    thread.start()
    try:
        yield termination
    finally:
        ended.set()
        signal.set_wakeup_fd(wakeup_before)
        signal.signal(signal.SIGTERM, before)
        os.close(writer)
        thread.join()
        os.close(reader)
