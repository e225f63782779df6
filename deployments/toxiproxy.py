"""Toxiproxy on loopback: proxies that slow down or cut the connections to a server, for tests of faults."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx

from deployments.processes import LOOPBACK, ServerProcess, free_port, require_program
from schema.errors import InvalidInput

Toxic = Literal["latency", "bandwidth", "limit_data", "timeout", "reset_peer"]
Stream = Literal["downstream", "upstream"]


@dataclass(frozen=True)
class Proxy:
    """A proxy in front of one address; connections to it go on to there while it is enabled.

    Attributes:
        address: Host and port that the proxy listens on; they stay the same when it is disabled and enabled.
    """

    address: str
    _name: str = field(repr=False)
    _api: httpx.Client = field(repr=False)

    @property
    def url(self) -> str:
        """The address for HTTP clients."""
        return f"http://{self.address}"

    def add_toxic(
        self, toxic: Toxic, *, stream: Stream = "downstream", toxicity: float = 1.0, **attributes: int
    ) -> str:
        """Make connections suffer, and return the name by which `remove_toxic` knows it.

        Args:
            toxic: ``latency`` (latency and jitter in ms), ``bandwidth`` (rate in KB/s), ``limit_data`` (closes
                after so many bytes), ``timeout`` (lets nothing through and closes after timeout in ms, 0 for never)
                or ``reset_peer`` (resets after timeout in ms).
            stream: Which way: from the server, or to it.
            toxicity: Share of connections that suffer.
            attributes: What the toxic is given.

        Raises:
            InvalidInput: If Toxiproxy knows no such toxic, or the proxy has the same one on the same stream.
        """
        wanted = {"type": toxic, "stream": stream, "toxicity": toxicity, "attributes": attributes}
        name: str = _answer(self._api.post(f"/proxies/{self._name}/toxics", json=wanted))["name"]
        return name

    def remove_toxic(self, name: str) -> None:
        """Let connections be as they were before that toxic.

        Raises:
            InvalidInput: If there is none of that name.
        """
        _answer(self._api.delete(f"/proxies/{self._name}/toxics/{name}"))

    def disable(self) -> None:
        """Cut all connections and refuse new ones."""
        _answer(self._api.post(f"/proxies/{self._name}", json={"enabled": False}))

    def enable(self) -> None:
        """Take connections again."""
        _answer(self._api.post(f"/proxies/{self._name}", json={"enabled": True}))


@dataclass(frozen=True)
class Toxiproxy:
    """A Toxiproxy that runs."""

    process: ServerProcess = field(repr=False)
    _api: httpx.Client = field(repr=False)

    def add_proxy(self, upstream: str) -> Proxy:
        """Return a new proxy, on a free port, in front of an address: host and port.

        Raises:
            InvalidInput: If Toxiproxy refuses the address.
        """
        name = f"proxy-{len(_answer(self._api.get('/proxies')))}"
        wanted = {"name": name, "listen": f"{LOOPBACK}:0", "upstream": upstream, "enabled": True}
        return Proxy(_answer(self._api.post("/proxies", json=wanted))["listen"], name, self._api)


@contextmanager
def open_toxiproxy() -> Iterator[Toxiproxy]:
    """Yield a Toxiproxy without proxies, and stop it, and with it all proxies, in the end.

    Raises:
        InvalidInput: If Toxiproxy is not installed.
        Unavailable: If it does not start.
    """
    program = require_program("toxiproxy-server")
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    process = ServerProcess([str(program), "-host", LOOPBACK, "-port", str(port)], {}, [f"{url}/version"])
    process.start()
    try:
        with httpx.Client(base_url=url, trust_env=False) as api:
            yield Toxiproxy(process, api)
    finally:
        process.stop()


def _answer(response: httpx.Response) -> Any:
    if response.is_error:
        raise InvalidInput(f"Toxiproxy refuses {response.request.method} {response.request.url}: {response.text}")
    return response.json() if response.content else None
