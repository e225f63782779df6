"""Read what documents say: their commands, flags, snippets and links."""

import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
MAKE = shutil.which("make") or "make"


def blocks(markdown: str, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", markdown, flags=re.DOTALL | re.MULTILINE)


def commands(markdown: str) -> list[str]:
    """Return the commands of all ```bash blocks, without comments."""
    lines = "".join(blocks(markdown, "bash")).replace("\\\n", " ").splitlines()
    bare = (re.sub(r"\s+#.*", "", line).strip() for line in lines)
    return [line for line in bare if line and not line.startswith("#")]


def link_targets(markdown: str) -> list[str]:
    """Return the files that links and images lead to, of Markdown and of HTML within it."""
    in_markdown = re.findall(r"\]\(([^)#\s]+)", markdown)
    in_html = re.findall(r'<(?:img|a)\b[^>]*? (?:src|href)="([^"#\s]+)', markdown)
    return [target for target in (*in_markdown, *in_html) if "://" not in target]


@cache
def help_of(flow: str) -> str:
    command = [sys.executable, *flow.split(), "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def flags_in_prose(markdown: str) -> set[str]:
    in_prose = re.sub(r"^```.*?^```$", "", markdown, flags=re.DOTALL | re.MULTILINE)
    return set(re.findall(r"`(--[a-z][a-z-]*)", in_prose))


def has_flag(text: str, flag: str) -> bool:
    return re.search(rf"(?<![\w-]){flag}(?![\w-])", text) is not None


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), flags=re.MULTILINE))
