"""Finding a Java that Spark can run on, and starting Spark's JVM on it without its chatter."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from py4j.java_gateway import JavaGateway
from pyspark import SparkConf, SparkContext
from pyspark.errors import PySparkRuntimeError
from pyspark.java_gateway import launch_gateway
from pyspark.sql import SparkSession

from spark.jvm_output import JvmOutput

OLDEST_JAVA = 17
INSTALL_JAVA = "Install one with `sudo apt-get install openjdk-17-jre-headless`, or set JAVA_HOME to the folder of one."
LOG_TAIL_CHARACTERS = 2000


def find_java() -> Path:
    """Return the `java` that Spark will run: that of JAVA_HOME where it is set, else the first on PATH.

    Raises:
        ValueError: If there is none.
    """
    home = os.environ.get("JAVA_HOME")
    if home:
        java = Path(home) / "bin" / "java"
        if os.access(java, os.X_OK):
            return java
        raise ValueError(f"JAVA_HOME is {home!r}, but there is no program bin/java in it. {INSTALL_JAVA}")
    found = shutil.which("java")
    if found is None:
        raise ValueError(
            f"No Java found: JAVA_HOME is not set and there is no `java` on PATH; Spark needs Java {OLDEST_JAVA} "
            f"or later. {INSTALL_JAVA}"
        )
    return Path(found)


def java_version(java: Path) -> int:
    """Return the feature release (17 for 17.0.15, 8 for 1.8.0) that a `java` program reports.

    Raises:
        ValueError: If it does not run or reports no version.
    """
    try:
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ValueError(f"{java} does not run: {error}. {INSTALL_JAVA}") from error
    match = re.search(r'version "(?:1\.)?(\d+)', answer.stderr + answer.stdout)
    if match is None:
        said = (answer.stderr + answer.stdout).strip()
        raise ValueError(f"`{java} -version` should name a version, but says {said!r}. {INSTALL_JAVA}")
    return int(match.group(1))


def require_java() -> None:
    """Check that there is a Java that Spark can run on.

    Raises:
        ValueError: If there is none or it is too old; the message says what to type.
    """
    java = find_java()
    version = java_version(java)
    if version < OLDEST_JAVA:
        raise ValueError(f"{java} is Java {version}; Spark needs Java {OLDEST_JAVA} or later. {INSTALL_JAVA}")


def launch_jvm(conf: SparkConf, environment: Mapping[str, str], output: JvmOutput) -> JavaGateway:
    """Start the JVM that this process will keep, with `environment` added to its own.

    What the JVM prints goes to `output`.

    Raises:
        ValueError: If there is no fit Java, or the JVM ends before it is up; the message ends with what it said.
    """
    require_java()
    try:
        with _environment(environment):
            return launch_gateway(conf, popen_kwargs={"stdout": output.writer, "stderr": output.writer})
    except PySparkRuntimeError as error:
        output.close()
        said = output.last_words()[-LOG_TAIL_CHARACTERS:]
        raise ValueError(f"Spark's JVM ended before it was up. {INSTALL_JAVA} What it said last:\n{said}") from error
    finally:
        output.close()


def stop_jvm(gateway: JavaGateway) -> None:
    """End a JVM that `launch_jvm` started, so that PySpark takes the next one."""
    gateway.shutdown()
    gateway.proc.stdin.close()
    gateway.proc.wait()
    SparkContext._gateway = None
    SparkContext._jvm = None


def forget_connection(gateway: JavaGateway) -> None:
    """Have this thread speak to the JVM over a new connection: one that was interrupted is owed an earlier answer."""
    client = gateway._gateway_client
    connection = client.get_thread_connection()
    if connection is not None:
        with suppress(ValueError):  # it is in use, and so not among those that wait
            client.deque.remove(connection)
        connection.close()
        del client.thread_connection.connection


def jvm_of(session: SparkSession) -> Any:
    """Return py4j's view of a session's JVM: for the few things that PySpark has no Python for."""
    return session.sparkContext._jvm


@contextmanager
def _environment(added: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in added}
    os.environ.update(added)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
