"""The command: serve the API and its page, or make an API key."""

import argparse
import os
import shutil
import socket
import ssl
import sys
from pathlib import Path

import uvicorn
from uvicorn.supervisors import Multiprocess

from schema.errors import InvalidInput, InvalidSettings, RecommenderError
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
        sys.stderr.write(f"{error}\n")
        return 2
    start_log(options.log_level, options.log_format)
    try:
        return serve(options)
    except InvalidInput as error:
        sys.stderr.write(f"{error}\n")
        return 2


def serve(options: ServingOptions) -> int:
    """Serve until SIGTERM or Ctrl-C, finish what is at work then, and return the exit code."""
    try_place(options.work_dir, "--work-dir (or WORK_DIR)")
    if options.api_events_dir:
        try_place(options.api_events_dir, "--api-events-dir (or API_EVENTS_DIR)")
    if options.api_keys_file:
        read_keys(options.api_keys_file)
    if options.api_tls_certificate:
        _try_certificate(options.api_tls_certificate, options.api_tls_key)
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
    listener = _listen(options)
    os.environ["API_PORT"] = str(listener.getsockname()[1])
    if options.api_workers > 1:
        Multiprocess(config, sockets=[listener]).run()
        return 0
    server = uvicorn.Server(config)
    server.run(sockets=[listener])
    return 0 if server.started else 1


def _try_certificate(certificate: Path, key: Path | None) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except OSError as error:
        raise InvalidSettings(
            f"API_TLS_CERTIFICATE and API_TLS_KEY: {certificate} and {key} cannot be used ({error.strerror or error}); "
            "expected PEM files of a certificate and of its key."
        ) from error


def _listen(options: ServingOptions) -> socket.socket:
    """Return a socket that the workers can take requests from."""
    host, port = options.api_host, options.api_port
    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else "no such name"
        raise InvalidSettings(
            f"--host and --port (or API_HOST and API_PORT): {host}:{port} cannot be listened on ({reason}); "
            "expected an address of this machine and a port that is free. Stop what has it, or name another, such as "
            f"--port {port + 1} (make serve PORT={port + 1})."
        ) from error
    listener.set_inheritable(True)
    return listener


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
    parser = argparse.ArgumentParser(f"{Path(sys.argv[0]).name} key", description="Make an API key; it is shown once.")
    parser.add_argument("name", metavar="NAME", help="whose key it is")
    parser.add_argument("--scopes", default="read", help=f"what it is good for: some of {','.join(SCOPES)} (read)")
    parser.add_argument("--file", type=Path, help="file of keys' digests; by default API_KEYS_FILE")
    given = parser.parse_args(arguments)
    path = given.file or os.environ.get("API_KEYS_FILE")
    if not path:
        parser.error("name a file with --file, or set API_KEYS_FILE")
    sys.stdout.write(f"{add_key(Path(path), given.name, given.scopes.split(','))}\n")
    return 0
