"""The command: serve the API and its page, or make an API key."""

import argparse
import os
import shutil
import sys
from pathlib import Path

import uvicorn
from uvicorn.supervisors import Multiprocess

from schema.errors import InvalidInput, RecommenderError
from serving.keys import SCOPES, add_key, read_keys
from serving.log import start_log
from serving.options import ServingOptions, read_options
from storage.files import try_place

GRACE_SECONDS = 20
METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code: 0 done, 1 failed, 2 for bad usage or settings."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        if arguments[:1] == ["key"]:
            return _make_key(arguments[1:])
        options = read_options(arguments)
    except RecommenderError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    start_log(options.log_level, options.log_format)
    try:
        return serve(options)
    except InvalidInput as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2


def serve(options: ServingOptions) -> int:
    """Serve until SIGTERM or Ctrl-C, finish what is at work then, and return the exit code."""
    try_place(options.work_dir, "--work-dir (or WORK_DIR)")
    if options.api_events_dir:
        try_place(options.api_events_dir, "--api-events-dir (or API_EVENTS_DIR)")
    if options.api_keys_file:
        read_keys(options.api_keys_file)
    os.environ |= as_variables(options)
    if options.api_workers > 1:
        _share_figures(options.work_dir / "serving" / "metrics")
    config = uvicorn.Config(
        "serving.web:create_worker",
        factory=True,
        host=options.api_host,
        port=options.api_port,
        workers=options.api_workers,
        loop="uvloop",
        http="serving.connection:Connection",
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=bool(options.api_proxies),
        forwarded_allow_ips=list(options.api_proxies),
        timeout_keep_alive=options.api_idle_seconds,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ssl_certfile=options.api_tls_certificate,
        ssl_keyfile=options.api_tls_key,
    )
    server, socket = uvicorn.Server(config), config.bind_socket()
    os.environ["API_PORT"] = str(socket.getsockname()[1])
    if options.api_workers > 1:
        Multiprocess(config, sockets=[socket]).run()
        return 0
    server.run(sockets=[socket])
    return 0 if server.started else 1


def _share_figures(folder: Path) -> None:
    """Have Prometheus's client keep its figures in files, which it must know before it is loaded."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ[METRICS_FOLDER] = str(folder.absolute())


def as_variables(options: ServingOptions) -> dict[str, str]:
    """Return settings as the variables that workers read them from."""
    given = {name: getattr(options, name) for name in options.model_fields_set}
    return {name.upper(): ",".join(value) if isinstance(value, tuple) else str(value) for name, value in given.items()}


def _make_key(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser("python -m serving key", description="Make an API key; it is shown once.")
    parser.add_argument("name", metavar="NAME", help="whose key it is")
    parser.add_argument("--scopes", default="read", help=f"what it is good for: some of {','.join(SCOPES)} (read)")
    parser.add_argument("--file", type=Path, help="file of keys' digests; by default API_KEYS_FILE")
    given = parser.parse_args(arguments)
    path = given.file or os.environ.get("API_KEYS_FILE")
    if not path:
        parser.error("name a file with --file, or set API_KEYS_FILE")
    print(add_key(Path(path), given.name, given.scopes.split(",")))  # noqa: T201
    return 0
