"""trace: a wrapper that writes a line for each call of each question: when, how many pairs, how long."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import msgspec

from pagexchange.hookspecs import hookimpl
from pagexchange_plugins.timing import Metered, metered
from pagexchange_plugins.wrapping import Wrapping


@dataclass(frozen=True)
class Trace(Wrapping):
    """Write a line per call of each question to a file or stderr, or keep the last ones for the report."""

    to: str = "memory"
    """`memory`, `stderr`, or the path of a file to append to."""
    keep: Annotated[int, msgspec.Meta(ge=1, le=1 << 20)] = 4096
    """How many calls per question are kept between two looks; older ones are lost, and said to be."""
    _meters: list[tuple[str, str, Metered]] = field(default_factory=list, init=False, repr=False, compare=False)
    _written: dict[int, int] = field(default_factory=dict, init=False, repr=False, compare=False)

    @hookimpl
    def exchange_finished(self) -> None:
        """Write what was kept: the objects run without the GIL, so they cannot write themselves."""
        self._write()

    @hookimpl
    def run_finished(self) -> None:
        """Write what came after the last exchange: a pairing may be asked, and have no pairs."""
        self._write()

    def _write(self) -> None:
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

    def _wrap(self, question: str, answer: Any) -> Any:  # noqa: ANN401 - any answer
        wrapped, meter = metered(answer, question, self.keep)
        if meter:
            self._meters.append((question, getattr(wrapped, "name", ""), meter))
        return wrapped

    def _lines(self) -> list[str]:
        """Return a line for each call since the last look, in the order of time."""
        calls: list[tuple[int, str]] = []
        for number, (question, name, meter) in enumerate(self._meters):
            total = meter.counts()["calls"]
            fresh = total - self._written.get(number, 0)
            self._written[number] = total
            records = meter.records()[-fresh:] if fresh else []  # [-0:] would be all of them
            if len(records) < fresh:
                calls.append((0, f"trace: {fresh - len(records)} calls of {question} {name} were not kept"))
            for start, n, took in records:
                line = f"{int(start) / 1e9:.6f} {question:<7} {name} pairs={int(n)} ns={int(took)}"
                calls.append((int(start), line))
        return [line for _, line in sorted(calls)]
