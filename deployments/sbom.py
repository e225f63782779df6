"""Write what an image holds as a CycloneDX document: packages of its lock, Spark's jars, scripts of the page.

    python -m deployments.sbom serving

prints that of the image ``serving``, or ``training``. Of the lock it has the packages that are meant for this Python
and system, each with the SHA-256 of every file that the lock allows; licences are what an installed package says of
itself. It has neither a time nor a random number, so the same lock gives the same bytes. What Debian's packages are,
only the builder of an image knows. Nothing but ``packaging`` is imported to describe the API's image, which makes its
own in an environment that has little else.
"""

import hashlib
import json
import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from schema.version import VERSION

ROOT = Path(__file__).parents[1]
STATIC = ROOT / "serving" / "static"
LOCKS = {"training": ROOT / "requirements.txt", "serving": ROOT / "serving" / "requirements.txt"}
PROJECT, LICENCE = "amazon-recommender", "MIT"
SPEC = "1.6"
# Scripts and styles of the page, which are files of the checkout: name, file, what its version follows in it, licence.
SCRIPTS = (
    ("htmx.org", "htmx.min.js", 'version="', "0BSD"),
    ("@picocss/pico", "pico.min.css", "Pico CSS ✨ v", "MIT"),
    ("swagger-ui-dist", "swagger-ui/swagger-ui-bundle.js", 'PACKAGE_VERSION:"', "Apache-2.0"),
)

Component = dict[str, Any]


def bill_of_materials(image: str) -> str:
    """Return the JSON text for an image, ``training`` or ``serving``, its components sorted by their purl."""
    parts = [*_packages(LOCKS[image]), *_scripts(), *(_jars() if image == "training" else ())]
    about = {"type": "application", "bom-ref": PROJECT, "name": PROJECT, "version": VERSION}
    document = {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPEC}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPEC,
        "version": 1,
        "metadata": {"component": about | {"licenses": [{"license": {"id": LICENCE}}]}},
        "components": sorted(parts, key=lambda part: str(part["purl"])),
    }
    return json.dumps(document, indent=2) + "\n"


def _packages(lock: Path) -> Iterator[Component]:
    for entry in re.split(r"^(?=\w)", lock.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        wanted = Requirement(entry.partition("\\")[0])
        if wanted.marker is None or wanted.marker.evaluate():
            version = str(wanted.specifier).removeprefix("==")
            digests = re.findall(r"--hash=sha256:([0-9a-f]{64})", entry)
            purl = f"pkg:pypi/{wanted.name}@{version}"
            yield _component(purl, wanted.name, version, digests, licenses=_licences(wanted.name))


def _licences(package: str) -> list[dict[str, Any]]:
    """Return what an installed package says of its licence; nothing where it is not installed, or says none."""
    try:
        about = metadata(package).json
    except PackageNotFoundError:
        return []
    if expression := about.get("license_expression"):
        return [{"expression": expression}]
    classified = [one.rpartition(" :: ")[2] for one in about.get("classifier", []) if one.startswith("License :: ")]
    first_line = str(about.get("license", "")).partition("\n")[0]
    names = [name for name in classified if name != "OSI Approved"] or [first_line]
    return [{"license": {"name": name}} for name in names if name]


def _jars() -> Iterator[Component]:
    from spark.jars import listed_jars

    for jar in listed_jars():
        *group, name, version, _ = jar.path.split("/")
        purl = f"pkg:maven/{'.'.join(group)}/{name}@{version}"
        yield _component(purl, name, version, [jar.sha256], group=".".join(group))


def _scripts() -> Iterator[Component]:
    for name, file, before, licence in SCRIPTS:
        content = (STATIC / file).read_bytes()
        [version] = set(re.findall(re.escape(before) + r"(\d[\d.]*\d)", content.decode()))
        purl = f"pkg:npm/{name.replace('@', '%40')}@{version}"
        digests = [hashlib.sha256(content).hexdigest()]
        yield _component(purl, name, version, digests, licenses=[{"license": {"id": licence}}])


def _component(purl: str, name: str, version: str, digests: list[str], **more: Any) -> Component:
    hashes = [{"alg": "SHA-256", "content": digest} for digest in digests]
    return {"type": "library", "bom-ref": purl, "purl": purl, "name": name, "version": version, "hashes": hashes} | more


def main(arguments: list[str]) -> int:
    """Print the document of the image that is named; return 0, or 2 if there is none of that name."""
    if len(arguments) != 1 or arguments[0] not in LOCKS:
        sys.stderr.write(f"usage: python -m deployments.sbom {{{','.join(LOCKS)}}}; found {arguments}\n")
        return 2
    sys.stdout.write(bill_of_materials(arguments[0]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
