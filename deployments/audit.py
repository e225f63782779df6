"""Look up the packages of all locks in a database of known vulnerabilities, with pip-audit.

    python -m deployments.audit

ends with 0 if every package was found there and none is known to be vulnerable, 1 if one is, and 3 if some could not
be looked up: pip-audit itself calls that no vulnerability. Flags are pip-audit's own, such as
``--vulnerability-service osv`` for another database than that of PyPI.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCKS = (
    ROOT / "requirements.txt",
    ROOT / "serving" / "requirements.txt",
    ROOT / "models" / "neural-requirements.txt",
    ROOT / "notebooks" / "requirements.txt",
    ROOT / "docs" / "requirements.txt",
)
CLEAN, VULNERABLE, UNKNOWN = 0, 1, 3


def main(flags: Sequence[str]) -> int:
    """Audit all locks, and return the exit code."""
    codes = {audit(lock, flags) for lock in LOCKS}
    return next(code for code in (VULNERABLE, UNKNOWN, CLEAN) if code in codes)


def audit(lock: Path, flags: Sequence[str] = ()) -> int:
    """Audit one lock, print what was found, and return the exit code."""
    asking = ("--require-hashes", "--disable-pip", "--progress-spinner", "off", "--format", "json")
    command = [sys.executable, "-m", "pip_audit", *asking, "--requirement", str(lock), *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except ValueError:
        _say(f"{lock}: nothing could be looked up: {(done.stderr.strip() or 'no reason given').splitlines()[-1]}")
        return UNKNOWN
    vulnerable = [package for package in packages if package.get("vulns")]
    skipped = [package["skip_reason"] for package in packages if "skip_reason" in package]
    _say(f"{lock}: {len(packages)} packages, {len(vulnerable)} known to be vulnerable, {len(skipped)} not looked up")
    for package in vulnerable:
        for one in package["vulns"]:
            fixed = ", ".join(one["fix_versions"]) or "no version yet"
            _say(f"  {package['name']} {package['version']}: {one['id']}, fixed in {fixed}")
    if skipped:
        _say(f"  the first that was not: {skipped[0]}\n  So nothing is said of these. Try again, or another database.")
    if vulnerable:
        return VULNERABLE
    return UNKNOWN if skipped else CLEAN


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
