"""Find a Java, start Spark's JVM on it, read what it prints, and end it."""

import json
import os
import re
import shutil
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from py4j.java_gateway import JavaGateway
from py4j.protocol import Py4JError, Py4JJavaError
from pyspark import SparkConf, SparkContext
from pyspark.errors import PySparkRuntimeError
from pyspark.java_gateway import launch_gateway
from pyspark.sql import SparkSession

from schema.errors import InvalidInput
from schema.s3 import S3Access

OLDEST_JAVA = 17
JAVA_MODULE = "jdk.incubator.vector"  # some slimmed-down runtimes lack it
INSTALL_JAVA = (
    "Install one with `sudo apt-get install openjdk-17-jre-headless`, or openjdk-21-jre-headless, "
    "or set JAVA_HOME to the folder of one."
)
KEPT_LINES = 40
LOG_TAIL_CHARACTERS = 2000
END_SECONDS = 5.0
DEATH_SECONDS = 20.0  # a machine that stalls takes some to end what was killed
INHERITED_UMASK = -1
# A JVM reads and writes the names of files as its locale says, with ? for what that lacks.
JVM_VARIABLES = {"OPENBLAS_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"}
LEVELS = {"WARN": "WARNING", "FATAL": "CRITICAL"}
BLAS_KINDS = {"VectorBLAS": "Vector API", "Java11BLAS": "pure Java", "Java8BLAS": "pure Java"}


class JvmLine(NamedTuple):
    """A log line of the JVM: its level in Python's words, the class that logs, the message with any stack trace."""

    level: str
    logger: str
    message: str


Listener = Callable[[JvmLine], None]


class JvmOutput:
    """The reading end of what a JVM prints; a thread reads it until the JVM ends.

    Attributes:
        listener: Called with each log line; None drops them.
    """

    def __init__(self) -> None:
        reader, self._writer = os.pipe()
        self.listener: Listener | None = None
        self._last: deque[str] = deque(maxlen=KEPT_LINES)
        self._thread = threading.Thread(target=self._read, args=(reader,), name="spark-jvm-output", daemon=True)
        self._thread.start()

    @contextmanager
    def open_writer(self) -> Iterator[int]:
        """Yield the file descriptor for a JVM to inherit; from then on it is the JVM's alone, and ends with it."""
        try:
            yield self._writer
        finally:
            os.close(self._writer)

    def last_words(self) -> str:
        """Return what a JVM that has ended printed last."""
        self._thread.join(END_SECONDS)
        return "\n".join(self._last)

    def _read(self, reader: int) -> None:
        with os.fdopen(reader, encoding="utf-8", errors="replace") as stream:
            for text in stream:
                self._last.append(text.rstrip())
                line, listener = parse_line(text), self.listener
                if line and listener:
                    listener(line)


def parse_line(text: str) -> JvmLine | None:
    """Return a log line in the form of ``log4j2.properties``; None for anything else, such as the launcher's lines.

    Example:
        >>> parse_line('{"level": "WARN", "logger": "ALS", "message": "slow", "exception": ""}')
        JvmLine(level='WARNING', logger='ALS', message='slow')
        >>> parse_line("WARNING: Using incubator modules: jdk.incubator.vector")
    """
    try:
        found = json.loads(text)
        level, message = str(found["level"]), f"{found['message']}\n{found['exception']}".rstrip()
        return JvmLine(LEVELS.get(level, level), str(found["logger"]), message)
    except (ValueError, KeyError, TypeError):
        return None


@dataclass(frozen=True)
class Jvm:
    """A JVM that this process started, which outlives the sessions on it.

    Attributes:
        gateway: The connection to it.
        output: What it prints.
        s3: The S3 server that it was started to reach: its class path and credentials stay with it.
    """

    gateway: JavaGateway
    output: JvmOutput
    s3: S3Access | None

    def stop(self) -> None:
        """End it, so that PySpark takes the next one."""
        self.gateway.shutdown()
        self.gateway.proc.stdin.close()
        self.gateway.proc.wait()
        SparkContext._gateway = None
        SparkContext._jvm = None

    def describe_death(self, error: BaseException) -> str | None:
        """Return the exit code and the last output if an error comes from the JVM's death; else None."""
        if not isinstance(error, Py4JError | ConnectionError) or isinstance(error, Py4JJavaError):
            return None
        try:
            code = self.gateway.proc.wait(DEATH_SECONDS)
        except subprocess.TimeoutExpired:
            return None
        return f"with exit code {code}. What it said last:\n{self.output.last_words()}"

    def forget_connection(self) -> None:
        """Drop this thread's connection, which after an interrupt would return an earlier call's answer."""
        client = self.gateway._gateway_client
        connection = client.get_thread_connection()
        if connection is not None:
            with suppress(ValueError):  # one in use is not among those that wait
                client.deque.remove(connection)
            connection.close()
            del client.thread_connection.connection


def find_java() -> Path:
    """Return the `java` that Spark will run: that of JAVA_HOME where it is set, else the first on PATH.

    Raises:
        InvalidInput: If there is none.
    """
    home = os.environ.get("JAVA_HOME")
    if home:
        java = Path(home) / "bin" / "java"
        if os.access(java, os.X_OK):
            return java
        raise InvalidInput(f"JAVA_HOME is {home!r}, but there is no program bin/java in it. {INSTALL_JAVA}")
    found = shutil.which("java")
    if found is None:
        raise InvalidInput(
            f"No Java found: JAVA_HOME is not set and there is no `java` on PATH; Spark needs Java {OLDEST_JAVA} "
            f"or later. {INSTALL_JAVA}"
        )
    return Path(found)


def java_version(java: Path) -> int:
    """Return the feature release (17 for 17.0.15, 8 for 1.8.0) that a `java` program reports.

    Raises:
        InvalidInput: If it does not run or reports no version.
    """
    try:
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InvalidInput(f"{java} does not run: {error}. {INSTALL_JAVA}") from error
    match = re.search(r'version "(?:1\.)?(\d+)', answer.stderr + answer.stdout)
    if match is None:
        said = (answer.stderr + answer.stdout).strip()
        raise InvalidInput(f"`{java} -version` should name a version, but says {said!r}. {INSTALL_JAVA}")
    return int(match.group(1))


def require_java() -> None:
    """Check that there is a Java that Spark can run on.

    Raises:
        InvalidInput: If there is none or it is too old; the message says what to type.
    """
    java = find_java()
    version = java_version(java)
    if version < OLDEST_JAVA:
        raise InvalidInput(f"{java} is Java {version}; Spark needs Java {OLDEST_JAVA} or later. {INSTALL_JAVA}")


class _WithoutFork(dict[str, Any]):
    """Arguments of `Popen` without the function that PySpark has run between fork and exec, which ignores Ctrl-C there.

    A fork in Python takes the locks of whoever registered for it (loguru, logging, concurrent.futures) while other
    threads hold them in another order, and can stand still. A process group of its own keeps Ctrl-C away as well.
    """

    def __setitem__(self, name: str, value: Any) -> None:
        if name != "preexec_fn":
            super().__setitem__(name, value)


def launch_jvm(conf: SparkConf, s3: S3Access | None = None) -> Jvm:
    """Start a JVM whose native linear algebra takes one thread for each of Spark's.

    Raises:
        InvalidInput: If there is no suitable Java, or the JVM ends before it is up; the message ends with its output.
    """
    require_java()
    output = JvmOutput()
    try:
        with _environment(), output.open_writer() as writer:
            # Its block files, beside the scratch folder, hold interactions; executors elsewhere may be another user's.
            umask = 0o077 if conf.get("spark.master", "").startswith("local") else INHERITED_UMASK
            streams = {"stdout": writer, "stderr": writer}
            gateway = launch_gateway(conf, popen_kwargs=_WithoutFork(streams, umask=umask, process_group=0))
    except PySparkRuntimeError as error:
        said = output.last_words()[-LOG_TAIL_CHARACTERS:]
        advice = f"{INSTALL_JAVA} " if JAVA_MODULE in said else ""
        raise InvalidInput(f"Spark's JVM ended before it was up. {advice}What it said last:\n{said}") from error
    return Jvm(gateway, output, s3)


def describe_blas(session: SparkSession) -> str:
    """Name the linear algebra of the driver's JVM: "OpenBLAS (native)", "native", "Vector API" or "pure Java".

    It decides how fast ALS is, and may decide the last bit of a factor. On a cluster the executors find their own;
    give all machines the same packages.
    """
    jvm: Any = session._jvm
    module = jvm.java.lang.Class.forName("org.apache.spark.ml.linalg.BLAS$").getField("MODULE$").get(None)
    implementation = str(module.nativeBLAS().getClass().getSimpleName())
    if implementation != "JNIBLAS":
        return BLAS_KINDS.get(implementation, implementation)
    maps = Path(f"/proc/{jvm.java.lang.ProcessHandle.current().pid()}/maps")  # Linux only
    return "OpenBLAS (native)" if maps.exists() and "openblas" in maps.read_text() else "native"


@contextmanager
def _environment() -> Iterator[None]:
    """Set the variables that the JVM is to inherit."""
    before = {name: os.environ.get(name) for name in JVM_VARIABLES}
    os.environ.update(JVM_VARIABLES)
    try:
        yield
    finally:
        for name, value in before.items():
            del os.environ[name]
            if value is not None:
                os.environ[name] = value
