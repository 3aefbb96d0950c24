"""Follow docs/write-a-plugin.md to the letter: write its files, give its commands, compare what they print.

A line of the page that is nothing but a name in backticks and a colon is followed by that file's contents, fenced. In a
fence called `console` a line with `$` is a command for one shell that stays in the folder it went to; the lines under
it must be found in what it prints, in this order; `...` stands for anything.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "write-a-plugin.md"

_PART = re.compile(
    r"^`(?P<name>[^`\n]+)`:\n\n```\w+\n(?P<text>.*?)^```$|^```console\n(?P<console>.*?)^```$", re.M | re.S
)
_CODE = "pgx-exit-code"


@dataclass(frozen=True)
class Step:
    """A command of the page, what it must print, and what it did."""

    command: str
    expected: list[str]
    code: int
    printed: str

    def missing(self) -> str:
        """The first line of the page that was not printed; empty if all were."""
        rest = " ".join(self.printed.split())
        for line in self.expected:
            words = [re.escape(part) for part in " ".join(line.split()).split("...")]
            found = re.search(".*?".join(words), rest)
            if not found:
                return line
            rest = rest[found.end() :]
        return ""


def files(text: str) -> dict[str, str]:
    """Files of the page by name."""
    return {part["name"]: part["text"] for part in _PART.finditer(text) if part["name"]}


def commands(console: str) -> list[tuple[str, list[str]]]:
    """Commands of a console block, each with the lines under it."""
    found: list[tuple[str, list[str]]] = []
    for line in console.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif line.strip() not in ("", "..."):
            found[-1][1].append(line)
    return found


@dataclass
class Follower:
    """Somebody with an empty folder and a shell."""

    folder: Path
    variables: dict[str, str]
    at: Path | None = None

    def follow(self, text: str) -> list[Step]:
        """Do all of the page, top to bottom; stop after the first command that fails."""
        self.at, steps = self.folder, []
        for part in _PART.finditer(text):
            if part["name"]:
                file = self.folder / part["name"]
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(part["text"], encoding="utf-8")
                continue
            for command, expected in commands(part["console"]):
                steps.append(self._give(command, expected))
                if steps[-1].code:
                    return steps
        return steps

    def _give(self, command: str, expected: list[str]) -> Step:
        script = f"{command}\ncode=$?; echo; echo {_CODE} $code $PWD"
        done = subprocess.run(
            ["bash", "-c", script], cwd=self.at, env=self.variables, capture_output=True, text=True, timeout=1200
        )
        printed, _, last = done.stdout.rpartition(_CODE)
        code, _, folder = last.strip().partition(" ")
        self.at = Path(folder)
        return Step(command, expected, int(code), printed + done.stderr)
