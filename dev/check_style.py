"""House style: phrases that plain technical English does not use, and docstrings that say nothing.

Usage: python dev/check_style.py [PATH ...]   (default: every tracked file)
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SUFFIXES = {".tmpl", ".py", ".md", ".toml", ".sh", ".html", ".js", ".css", ".yml", ".yaml", ".cff"}
SKIPPED = {"dev/check_style.py", "CONTRIBUTING.md", "LICENSE"}  # the rule itself quotes what it forbids
THEIRS = ("tests/compat/apps/",)  # written as users write

PHRASES = {
    r"\bnobody\b": "name the actor, or 'no … ' with a noun",
    r"\bwhoever\b": "name the actor",
    r"\bany ?more\b": "'no longer'",
    r"\banew\b": "'again'",
    r"\bso many\b": "'that many', or the number",
    r"\b(?:goes|go|going|went|gone) on\b(?! (?:disk|with it))": "'continues', 'resumes'",
    r"\bof (?:its|their|one's|his|your|our|my) own\b": "'its own …', 'their own …', 'separate'",
    r"\bmend(?:s|ed|ing)?\b": "'fix'",
    r"\bin so many words\b": "'explicitly'",
    r"\bmet a fault\b": "'internal error'",
    r"\bof no use\b": "'unusable', 'invalid'",
    r"\bhas become better\b|\bnot become better\b": "'improved'",
    r"\bhas another use for\b": "'is reserved'",
    r"\bheals? by itself\b": "'recovers automatically'",
    r"\bthrough rounds again\b|\bgone through again\b": "'replays'",
    r"\b(?:trains|waits|works|runs|serves|uploads|downloads|silent) since\b": "present perfect: 'has been training since'",
    r"\bis to be (?:started|sent|done|made)\b": "active voice: who does it",
    r"\bcannot be told apart\b": "'is indistinguishable'",
    r"\bword of mouth\b|\bby word\b": "name the mechanism",
    r"\bit is no (?:bug|fault|error)\b": "'this is not an error'",
    r"\bthe like\b": "name the things",
    r"\bwhat is told\b|\bis told of\b|\bare told of\b": "'is notified of', 'receives'",
    r"\bfor ever\b": "'indefinitely', 'forever'",
    r"\ball the same\b": "'nevertheless', or nothing",
    r"\bat all events\b": "'in any case'",
}
EMPTY_DOCSTRING = re.compile(
    r"^(?:It (?:is|does|was|ended|has)\.?|As above\.?|The same\.?|\d{3}\.|See [\w`.]+\.?|Done\.?|Yes\.?|No\.?)$"
)
QUESTION = re.compile(r"^(?:What|Who|Which|How|Whether|Where|When|Why)\b")


def tracked() -> list[Path]:
    """The tracked files, and those that git would not ignore."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / line for line in listing.splitlines()]


def checked(paths: list[Path]) -> Iterator[tuple[str, Path]]:
    """The files to check, with their names relative to the root."""
    for path in paths:
        name = path.resolve().relative_to(ROOT).as_posix()
        if path.suffix in SUFFIXES and name not in SKIPPED and not name.startswith(THEIRS) and path.is_file():
            yield name, path


def phrases(name: str, text: str) -> Iterator[str]:
    """A complaint for each forbidden phrase; a phrase may be broken across two lines."""
    for pattern, instead in PHRASES.items():
        spaced = pattern.replace(" ", r"[\s#*]+") if " " in pattern else pattern
        for match in re.finditer(spaced, text, re.IGNORECASE):
            line = text.count("\n", 0, match.start()) + 1
            yield f"{name}:{line}: {' '.join(match[0].split())!r}: say {instead}"


def docstrings(name: str, text: str) -> Iterator[str]:
    """A complaint for each docstring without content, and each module docstring that is a question word."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        docstring = (ast.get_docstring(node) or "").strip()
        line = getattr(node, "lineno", 1)
        if EMPTY_DOCSTRING.match(docstring):
            yield f"{name}:{line}: filler docstring {docstring!r}: say something or delete it"
        if isinstance(node, ast.Module) and QUESTION.match(docstring):
            yield f"{name}:{line}: module docstring begins with a question word: use a noun phrase"


def main(arguments: list[str]) -> int:
    """Print every complaint; the exit code says whether there is one."""
    complaints: list[str] = []
    for name, path in checked([Path(argument) for argument in arguments] or tracked()):
        text = path.read_text(encoding="utf-8")
        complaints += phrases(name, text)
        if path.suffix == ".py":
            complaints += docstrings(name, text)
    print("\n".join(complaints) or "style: nothing to complain about")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
