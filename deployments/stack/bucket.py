"""Make the stack's bucket on the server that the variables lead to; one that is there is left as it is.

python -m deployments.stack.bucket
"""

import os
import sys

from deployments.minio import BUCKET
from deployments.servers import Credentials, make_bucket


def main() -> int:
    """Make the bucket."""
    credentials = Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
    make_bucket(os.environ["S3_ENDPOINT_URL"], BUCKET, credentials)
    sys.stdout.write(f"bucket {BUCKET} is there\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
