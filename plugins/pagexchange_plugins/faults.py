"""faults: a wrapper that makes some pairs fail, so that one can see what the others do."""

import errno
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import msgspec

from pagexchange.errors import PluginError
from pagexchange.hookspecs import MOVES, hookimpl
from pagexchange_native.plugin import NativeObject
from pagexchange_native.wrappers import FaultPlan, wrap
from pagexchange_plugins.wrapping import Wrapped, Wrapping, is_callable, pairs_of


@dataclass(frozen=True)
class Faults(Wrapping):
    """Make the nth pair, or every so many, fail at one question, with an errno or with an exception."""

    question: Literal["flags", "data", "copy", "mapping", "pairing"] = "data"
    """`data` and `copy` refuse the pair before anything moved, `mapping` its page; `flags` the batch that it is in.
    `pairing` fails the step that would have it moved."""
    error: str = "EAGAIN"
    """Name of the errno. ENOMEM at `data` or `copy` sends the pair to the next mover of the chain."""
    nth: Annotated[int, msgspec.Meta(ge=0)] = 0
    """This pair fails, counted from 1; 0 none."""
    every: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Every so many fail; 0 none."""
    exception: bool = False
    """Raise RuntimeError in the middle of the call instead. Only an object in Python can."""
    _plans: list[Any] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(getattr(errno, self.error, None), int):  # errorcode has one name per number: no EOPNOTSUPP
            raise ValueError(f"error {self.error!r} is not the name of an errno, such as EAGAIN, EBUSY or ENOMEM")
        if not self.nth and not self.every:
            raise ValueError("nothing would fail: give nth or every")

    @hookimpl
    def strategy_report(self) -> dict[str, object]:
        """Return `{"faults": {"failed": n}}`: how many pairs were made to fail."""
        return {"faults": {"failed": sum(plan.failed for plan in self._plans)}}

    def _wrap(self, question: str, answer: Any) -> Any:  # noqa: ANN401 - any answer
        if question != self.question:
            return answer
        if isinstance(answer, NativeObject):
            if self.exception:
                raise PluginError(
                    f"exception = true needs an object in Python, but {question} is answered by a native one, "
                    "which cannot raise; leave it out to fail pairs by errno",
                    plugin="faults",
                )
            plan = FaultPlan(getattr(errno, self.error), self.nth, self.every)
            self._plans.append(plan)
            return wrap(answer, plan)
        if not is_callable(answer):
            return answer
        faulty = Faulty(answer, self)
        self._plans.append(faulty)
        return faulty


class Faulty(Wrapped):
    """A Python object that fails when the turn of one of its pairs has come."""

    def __init__(self, inner: Callable[..., Any], plan: Faults) -> None:
        super().__init__(inner)
        self.failed = 0
        self._plan = plan
        self._count = itertools.count(1)

    def __call__(self, *args: Any) -> Any:  # noqa: ANN401 - whatever the wrapped one takes
        """Forward the call, unless it is one that is to fail."""
        plan = self._plan
        pairing = plan.question == "pairing"  # its pairs are known once it has answered
        answer: Any = self.inner(*args) if pairing else None
        due = [
            place
            for place, number in zip(range(pairs_of(plan.question, args, answer)), self._count, strict=False)
            if number == plan.nth or (plan.every and number % plan.every == 0)
        ]
        if not due:
            return answer if pairing else self.inner(*args)
        self.failed += len(due)
        if plan.question in MOVES:  # some pairs have moved when it happens: the core has to put them back
            pieces, a, b = args
            self.inner(pieces, a[: due[0]], b[: due[0]])
        if plan.exception:
            raise RuntimeError(f"injected into {plan.question}")
        raise OSError(getattr(errno, plan.error), f"injected into {plan.question}")
