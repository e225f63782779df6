"""Where processes can be reached: the addresses that they listen on, by TCP or UDP."""

import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from typing import NamedTuple

import psutil


class Door(NamedTuple):
    """An address that a program listens on."""

    program: str
    ip: str
    port: int

    @property
    def is_open(self) -> bool:
        """Whether other machines reach it."""
        return not ip_address(self.ip.removeprefix("::ffff:")).is_loopback


def find_doors(processes: Iterable[psutil.Process]) -> set[Door]:
    """Return the doors of processes; one that has ended by now has none."""
    found = set()
    for process in processes:
        with suppress(psutil.Error):
            for one in process.net_connections("inet"):
                if one.status == psutil.CONN_LISTEN or (one.type == socket.SOCK_DGRAM and not one.raddr):
                    found.add(Door(process.name(), *one.laddr))
    return found


def family() -> list[psutil.Process]:
    """Return this process and all that it started, directly or not."""
    me = psutil.Process()
    return [me, *me.children(recursive=True)]


@contextmanager
def watching_doors() -> Iterator[set[Door]]:
    """Yield a set in which all doors are, when the block has ended, that this process and its children had."""
    seen: set[Door] = set()
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.1):
            seen.update(find_doors(family()))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield seen
    finally:
        ended.set()
        watching.join()
