"""One transfer in a process of its own, so that the memory it takes is nobody else's.

    python -m benchmarks.transfers.child upload store BUCKET KEY PATH SHA256

The server and its credentials come by the environment. The time and the memory that the transfer took go to standard
output as one line of JSON. Idle is the process after its imports, with a client made and one tiny request answered.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.transfers.methods import METHODS, UPLOAD, Place
from storage.opening import S3Options
from storage.s3 import S3Store
from storage.s3_client import open_client

SELF = Path("/proc/self")
FORGET_PEAK = "5"  # what clear_refs takes, so that VmHWM starts anew from what is resident now


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one transfer and print what it took."""
    chosen = _parser().parse_args(arguments)
    transfer = METHODS[chosen.direction][chosen.model]
    place = _open(chosen.bucket, chosen.key, chosen.path, chosen.sha256)
    if chosen.direction == UPLOAD:
        place.store.delete(chosen.key)  # what an earlier process stored there
    place.client.head_bucket(Bucket=chosen.bucket)
    idle_bytes = reset_peak()
    started = time.perf_counter()
    transfer(place)
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "peak_bytes": peak_bytes() - idle_bytes}))
    return 0


def reset_peak() -> int:
    """Make now the moment from which the peak counts, and return the bytes resident now."""
    (SELF / "clear_refs").write_text(FORGET_PEAK)
    return peak_bytes()


def peak_bytes() -> int:
    """Return the most bytes that were resident at once since the last `reset_peak`."""
    lines = (SELF / "status").read_text("ascii").splitlines()
    kibibytes = next(line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(kibibytes) * 1024


def _open(bucket: str, key: str, path: Path, sha256: str) -> Place:
    options = S3Options(s3_endpoint_url=os.environ["S3_ENDPOINT_URL"])
    return Place(open_client(options), S3Store(f"s3://{bucket}", options), bucket, key, path, sha256)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("direction", choices=METHODS)
    parser.add_argument("model", choices=sorted({model for models in METHODS.values() for model in models}))
    parser.add_argument("bucket")
    parser.add_argument("key")
    parser.add_argument("path", type=Path)
    parser.add_argument("sha256")
    return parser


if __name__ == "__main__":
    sys.exit(main())
