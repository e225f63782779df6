"""Serve MinIO in the foreground, with its console, as the store of flows that run in other terminals.

    python -m deployments.minio --folder data/minio --port 9000 --console-port 9001

Its address and credentials are written beside the folder, in ``data/minio.env``, to be sourced by a shell.
Objects and credentials stay when it stops, and the next start uses them again.
"""

import argparse
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from deployments.s3_server import BUCKET, STORE_URI, Credentials, open_minio, random_credentials
from schema.errors import InvalidInput, RecommenderError
from storage.files import try_place, write_whole

DONE, FAILED = 0, 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C, and return 0 then, or 1 when it cannot go on."""
    chosen = _parser().parse_args(arguments)
    try:
        serve(chosen.folder, chosen.port, chosen.console_port or chosen.port + 1)
    except RecommenderError as error:
        sys.stderr.write(f"{error}\n")
        return FAILED
    except KeyboardInterrupt:
        return DONE


def serve(folder: Path, port: int, console_port: int) -> NoReturn:
    """Serve MinIO until it is interrupted.

    Raises:
        InvalidInput: If MinIO is not installed, a port cannot be had, or the credentials are not complete.
        Unavailable: If it does not start, or ends by itself.
    """
    variables = folder.parent / f"{folder.resolve().name}.env"
    try_place(folder, "--folder")
    try_place(variables, "--folder, beside which credentials are kept", is_file=True)
    credentials = choose_credentials(os.environ, variables)
    with open_minio(folder, bucket=BUCKET, port=port, console_port=console_port, credentials=credentials) as server:
        write_variables(variables, {**server.environment(), "STORE_URI": STORE_URI})
        sys.stdout.write(
            f"MinIO serves {folder} at {server.endpoint_url}; Ctrl-C stops it, and what it holds stays.\n"
            f"Its console is {server.console_url}: user {credentials.access_key}, "
            f"password in {variables} (AWS_SECRET_ACCESS_KEY).\n"
            f"To use it as the store, type in another terminal: source {shlex.quote(str(variables))}\n"
        )
        sys.stdout.flush()
        server.process.run_to_end()


def choose_credentials(environment: Mapping[str, str], variables: Path) -> Credentials:
    """Return the credentials of MINIO_ROOT_USER and MINIO_ROOT_PASSWORD, else those kept in a file, else new ones.

    Raises:
        InvalidInput: If one of the two is set without the other, or the file lacks one of them.
    """
    given = [environment.get(name, "") for name in ("MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD")]
    if all(given):
        return Credentials(*given)
    if any(given):
        raise InvalidInput("only one of MINIO_ROOT_USER and MINIO_ROOT_PASSWORD is set; set both, or neither")
    if not variables.exists():
        return random_credentials()
    kept = read_variables(variables)
    try:
        return Credentials(kept["AWS_ACCESS_KEY_ID"], kept["AWS_SECRET_ACCESS_KEY"])
    except KeyError as error:
        raise InvalidInput(
            f"{variables} sets no {error.args[0]}, which an earlier start wrote there. Put it back, "
            "or remove the file to get new credentials."
        ) from error


def read_variables(path: Path) -> dict[str, str]:
    """Return the variables of a file that `write_variables` wrote."""
    lines = (shlex.split(line, comments=True) for line in path.read_text("utf-8").splitlines())
    return dict(words[1].split("=", 1) for words in lines if words[:1] == ["export"])


def write_variables(path: Path, variables: Mapping[str, str]) -> None:
    """Write a file for ``source``, which only its owner can read, so that nobody sees half of it."""
    lines = (f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())
    write_whole(path, "".join(lines), mode=0o600)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="Where MinIO keeps its objects; made if absent.")
    parser.add_argument("--port", type=int, default=9000, help="Port of the S3 API (default: 9000).")
    parser.add_argument("--console-port", type=int, help="Port of the console (default: the one above --port).")
    return parser


if __name__ == "__main__":
    sys.exit(main())
