"""The most memory that this process held since a moment of its own choosing, as Linux counts it."""

from pathlib import Path

SELF = Path("/proc/self")
FORGET_PEAK = "5"  # what clear_refs takes, so that VmHWM starts anew from what is resident now


def reset_peak() -> int:
    """Make now the moment from which the peak counts, and return the bytes resident now."""
    (SELF / "clear_refs").write_text(FORGET_PEAK)
    return peak_bytes()


def peak_bytes() -> int:
    """Return the most bytes that were resident at once since the last `reset_peak`."""
    lines = (SELF / "status").read_text("ascii").splitlines()
    kibibytes = next(line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(kibibytes) * 1024
