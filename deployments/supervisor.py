"""Run one program for as long as the process that asked for it lives, however that ends.

    python -m deployments.supervisor PROGRAM ARGUMENT…

The parent holds the other end of standard input and never writes to it. The operating system closes it when the
parent is gone; where a process forked from the parent still has it open, the parent's process id tells.
The first line of standard output is the program's process id; all that the program says goes to standard error.
"""

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence

GRACE_SECONDS = 3.0
LOOK_SECONDS = 1.0


def supervise(command: Sequence[str]) -> int:
    """Run a command until it ends, the parent does or SIGTERM comes; return its exit code if it ended by itself."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    parent = os.getppid()
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    try:
        threading.Thread(target=_end_after, args=(parent, server), daemon=True).start()
        sys.stdout.write(f"{server.pid}\n")
        sys.stdout.flush()
        return server.wait()
    finally:
        _end(server)


def _end_after(parent: int, server: "subprocess.Popen[bytes]") -> None:
    while os.getppid() == parent and not select.select([sys.stdin], [], [], LOOK_SECONDS)[0]:
        pass
    _end(server)


def _end(server: "subprocess.Popen[bytes]") -> None:
    server.terminate()
    try:
        server.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


if __name__ == "__main__":
    sys.exit(supervise(sys.argv[1:]))
