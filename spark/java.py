"""Find a Java that Spark can run on."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from schema.errors import InvalidInput

OLDEST_JAVA = 17
INSTALL_JAVA = "Install one with `sudo apt-get install openjdk-17-jre-headless`, or set JAVA_HOME to the folder of one."


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
