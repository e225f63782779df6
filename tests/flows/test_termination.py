import os
import signal
import threading
from contextlib import suppress

import pytest

from flows import termination
from flows.termination import Terminated, raising_on_sigterm


def test_sigterm_is_raised_and_the_handler_before_is_there_again():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated), raising_on_sigterm():  # noqa: PT012 - the signal comes during it
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(10)
    assert signal.getsignal(signal.SIGTERM) is before


def test_sigterm_that_a_library_swallows_is_sent_again(monkeypatch):
    monkeypatch.setattr(termination, "INSIST_SECONDS", 0.2)
    with pytest.raises(Terminated), raising_on_sigterm() as asked:  # noqa: PT012
        with suppress(Terminated):
            os.kill(os.getpid(), signal.SIGTERM)
            threading.Event().wait(10)
        assert asked.is_asked_for
        threading.Event().wait(10)
        raise AssertionError("it was not sent again")


def test_another_thread_leaves_signals_as_they_are():
    before, asked = signal.getsignal(signal.SIGTERM), []

    def enter() -> None:
        with raising_on_sigterm() as termination:
            asked.append((termination.is_asked_for, signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert asked == [(False, before)]


def test_nothing_is_asked_for_without_a_signal_and_no_thread_is_left():
    threads = threading.active_count()
    with raising_on_sigterm() as asked:
        pass
    assert not asked.is_asked_for
    assert threading.active_count() == threads
