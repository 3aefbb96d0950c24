"""trace: a wrapper that writes a line for each call of each question: when, how many pairs, how long."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import msgspec

from pagexchange.hookspecs import hookimpl
from pagexchange_plugins.timing import measured
from pagexchange_plugins.wrapping import Wrapping


@dataclass(frozen=True)
class Trace(Wrapping):
    """Write a line per call of each question to a file or stderr, or keep the last ones for the report."""

    to: str = "memory"
    """`memory`, `stderr`, or the path of a file to append to."""
    keep: Annotated[int, msgspec.Meta(ge=1, le=1 << 20)] = 4096
    """How many calls per question are kept between two looks; older ones are lost, and said to be."""
    _objects: list[tuple[str, Any]] = field(default_factory=list, init=False, repr=False, compare=False)
    _written: dict[str, int] = field(default_factory=dict, init=False, repr=False, compare=False)

    @hookimpl
    def exchange_finished(self) -> None:
        """Write what was kept: the objects run without the GIL, so they cannot write themselves."""
        if self.to == "memory":
            return
        text = "".join(f"{line}\n" for line in self._lines())
        if self.to == "stderr":
            sys.stderr.write(text)
        else:
            with Path(self.to).open("a", encoding="utf-8") as file:
                file.write(text)

    @hookimpl
    def strategy_report(self) -> dict[str, object] | None:
        """Return the lines that were kept in memory, `{"trace": [...]}`."""
        return {"trace": self._lines()} if self.to == "memory" else None

    def _wrap(self, question: str, found: Any) -> Any:  # noqa: ANN401 - any answer
        if found is None:
            return None
        wrapped = measured(found, question, self.keep)
        numbered = f"{question}.{sum(key.partition('.')[0] == question for key, _ in self._objects)}"
        self._objects.append((numbered, wrapped))
        return wrapped

    def _lines(self) -> list[str]:
        """Return a line for each call since the last look, in the order of time."""
        calls: list[tuple[int, str]] = []
        for key, wrapped in self._objects:
            name = getattr(wrapped, "name", "")
            question = key.partition(".")[0]
            total = wrapped.counts().get("calls", 0)
            fresh = total - self._written.get(key, 0)
            self._written[key] = total
            records = wrapped.records()[-fresh:] if fresh else []
            if len(records) < fresh:
                calls.append((0, f"trace: {fresh - len(records)} calls of {question} {name} were not kept"))
            for start, n, took in records:
                line = f"{int(start) / 1e9:.6f} {question:<7} {name} pairs={int(n)} ns={int(took)}"
                calls.append((int(start), line))
        return [line for _, line in sorted(calls)]
