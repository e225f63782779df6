"""Serve the API and its page, or make an API key: key NAME."""

import os
import sys

if __name__ == "__main__":
    for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # read when numpy is loaded: workers share the cores
    if sys.argv[0] == __file__:
        sys.argv[0] = "python -m serving"  # which usage messages begin with
    from serving.command import main

    sys.exit(main())
