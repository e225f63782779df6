"""Which machine a benchmark ran on, in one line."""

import os
import platform
import re
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")


def describe_machine() -> str:
    """Return the CPU's model, the cores that this process may use, the memory and the kernel."""
    n_cores = len(os.sched_getaffinity(0))
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    cores = f"{n_cores} core{'s' if n_cores > 1 else ''}"
    return f"{_cpu_model()}, {cores}, {gib:.0f} GiB of memory, {platform.system()} {platform.release()}"


def _cpu_model() -> str:
    said = CPU_INFO.read_text("utf-8") if CPU_INFO.exists() else ""
    found = re.search(r"^model name\s*:\s*(.+)$", said, re.MULTILINE)  # ARM's kernel gives none
    return " ".join(found[1].split()) if found else platform.machine()
