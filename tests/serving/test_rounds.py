"""What the API does again and again beside its answers goes on after an error that nobody expected."""

import asyncio
from types import SimpleNamespace

import pytest

from serving import web
from serving.options import ServingOptions
from serving.service import Service


class FailingOnce:
    """Fails the first time that it is called, and tells when it has been called again."""

    def __init__(self):
        self.n_calls, self.was_called_again = 0, asyncio.Event()
        self.loop = asyncio.get_running_loop()

    def __call__(self):
        self.n_calls += 1
        if self.n_calls == 1:
            raise ZeroDivisionError
        self.loop.call_soon_threadsafe(self.was_called_again.set)
        return {}


@pytest.mark.parametrize("name", ["refresh", "problems"])
def test_rounds_go_on_after_an_error_that_nobody_expected(tmp_path, monkeypatch, name):
    monkeypatch.setattr(web, "WATCH_SECONDS", 0.01)
    (tmp_path / "store").mkdir()
    options = ServingOptions(
        store_uri=str(tmp_path / "store"), work_dir=tmp_path, api_events_dir=None, api_poll_seconds=0.01
    )

    async def run():
        failing = FailingOnce()
        monkeypatch.setattr(Service, name, lambda _service: failing())
        app = web.create_app(options)
        async with app.router.lifespan_context(app):
            await asyncio.wait_for(failing.was_called_again.wait(), 2)

    asyncio.run(run())


class ComingProblem(str):
    """A name beside which another one comes while it is written."""

    __slots__ = ("problems",)

    def __format__(self, _spec):
        self.problems["ship"] = "the store does not answer"
        return str(self)


def test_problems_may_come_while_they_are_listed():
    name = ComingProblem("flush")
    name.problems = {name: "the disk is full"}
    service = Service(ServingOptions(api_events_dir=None), {}, SimpleNamespace(problems=name.problems))
    assert service.problems() == {"journal flush": "the disk is full"}
