"""Exchanges in a cell, asks the oracle, and says which clause each of its findings breaks."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Literal, NoReturn

import numpy as np
import pytest
from numpy.typing import NDArray

from pagexchange.arena.arena import Arena
from pagexchange.arena.frame import LaidOutRegion
from pagexchange.arena.migration import MigrationResult
from pagexchange.arena.result import ExchangeResult
from pagexchange.arena.strategy import Strategy
from pagexchange.errors import PluginContractError, PluginError, in_words
from pagexchange.hookspecs import ANSWERS, ArenaFacts
from pagexchange.host.built import Served
from pagexchange.model.config import Mode
from pagexchange.model.statuses import errno_name
from pagexchange.oracle import HELD, Finding, Migration, Oracle, Verdict
from pagexchange.strangers import interrupt_in, said, visible_lines
from pagexchange.testing.candidates.candidate import Candidate
from pagexchange.testing.scene.cells import Cell
from pagexchange.testing.scene.scene import FAST, SLOW, Pairs, Pfns, Scene
from pagexchange.testing.verdict.clauses import CLAUSES
from pagexchange_native.arena.region import STATES

# Clause -> kinds of the oracle's findings. What is named nowhere here breaks `nothing-else-changes`.
_BREAKS: Final = {
    "the-contents-move": ("contents",),
    "the-identity-moves": (
        "mapping", "index", "private", "hint", "slot-entry", "slot-order", "pte", "pte-bits", "identity", "rmap",
        "marks", "nr-pages", "nr-ptes", "xarray", "page-table",
    ),
    "the-counts-move": ("references", "mapcount", "held", "counter"),
    "the-frame-keeps-its-own": ("order", "state", "head", "head-flag", "node-bits", "tail"),
    "nothing-stays-held": (
        "lock", "owner", "frozen", "slot", "pin", "migration", "leak", "freed", "pool", "free-list", "free-count",
        "free-page", "mapping-lock", "space-lock", "node-lock", "structure-lock",
    ),
    "a-refused-pair-is-as-it-was": ("refused", "accepted", "status", "pair-twice"),
}  # fmt: skip
_CLAUSE_OF: Final = {kind: clause for clause, kinds in _BREAKS.items() for kind in kinds}
# The same of a migration. What is named nowhere here breaks `a-page-goes-whole`.
_MIGRATION_BREAKS: Final = {
    "what-it-leaves-is-free": _BREAKS["nothing-stays-held"],
    "a-refused-page-is-as-it-was": ("refused", "accepted", "status"),
}
_MIGRATION_CLAUSE_OF: Final = {kind: clause for clause, kinds in _MIGRATION_BREAKS.items() for kind in kinds}
_OF_FRAMES: Final = ("contents", "flag", "private", "references", "mapcount", "held", "order", "state", "head", "index")
"""Findings whose number is a frame's: outside the pairs they break another clause."""
_SHOWN: Final = 6
SERVES: Final = "a-plug-in-serves-or-declines"
"""The clause without which no other can be judged."""


@dataclass(frozen=True)
class Outcome:
    """What one exchange did."""

    status: NDArray[np.int32]
    verdict: Verdict
    result: ExchangeResult | None
    error: PluginError | None
    """What a plug-in raised, instead of a result."""
    broken: dict[str, list[str]]
    """Clause -> sentences."""


def exchange(strategy: Strategy, scene: Scene, pairs: Pairs | None = None, *, threads: int | None = None) -> Outcome:
    """Exchange a list, the scene's own if not given, and let the oracle look."""
    arena = strategy.arena
    pairs = scene.pairs if pairs is None else pairs
    oracle = _before(arena, scene)
    result: ExchangeResult | None = None
    error: PluginError | None = None
    # Filled with what is no status: one that is not written shows.
    status: NDArray[np.int32] = np.full(len(pairs), 77, dtype=np.int32)
    try:
        result = strategy.exchange(pairs, out=status, threads=threads)
    except PluginError as caught:
        error = caught
    # To the oracle a pair with no proper status is a refused one, and frames were taken as the nodes count them: what
    # the result says of both is the matter of clauses of their own.
    verdict = oracle.after(pairs, np.where(status > 0, -1, status))
    return Outcome(status, verdict, result, error, _sort(arena, pairs, verdict))


@dataclass(frozen=True)
class Migrated:
    """What some calls that migrate did, one after the other."""

    status: NDArray[np.int32]
    """Of all their pages."""
    verdict: Verdict
    results: list[MigrationResult]
    error: PluginError | None
    """What a plug-in raised in the last call, instead of a result."""
    broken: dict[str, list[str]]
    """Clause -> sentences."""


def migrate(
    strategy: Strategy, scene: Scene, calls: Sequence[tuple[Pfns, int]] | None = None, *, threads: int | None = None
) -> Migrated:
    """Migrate pages, (first frames, number of the node) for each call, and let the oracle look.

    Without calls the scene's pairs trade their nodes: the first pages go to the fast one, then the second to the slow.
    """
    arena = strategy.arena
    calls = [(scene.pairs[:, 0], FAST), (scene.pairs[:, 1], SLOW)] if calls is None else calls
    oracle = _before(arena, scene)
    results: list[MigrationResult] = []
    error: PluginError | None = None
    told: list[Migration] = []
    for pfns, node in calls:
        status = np.full(len(pfns), 77, dtype=np.int32)
        placed = pfns
        try:
            results.append(strategy.migrate(pfns, node, out=status, threads=threads))
            placed = results[-1].placed
        except PluginError as caught:
            error, placed = caught, getattr(caught, "placed", pfns)
        told.append(Migration(pfns, np.where(status > 0, -1, status), placed, node))
        if error:
            break
    verdict = oracle.after_migrations(told)
    broken: dict[str, list[str]] = {}
    for name, pages in verdict.lost.items():
        broken.setdefault("a-page-goes-whole", []).append(f"`{name}` did not go along with {pages} pages")
    for finding in verdict.findings:
        free = 0 <= finding.pfn < arena.nframes and arena.entries["state"][finding.pfn] == STATES["free"]
        clause = "what-it-leaves-is-free" if finding.what == "flag" and free else "a-page-goes-whole"
        broken.setdefault(_MIGRATION_CLAUSE_OF.get(finding.what, clause), []).append(finding.sentence)
    status = np.concatenate([np.asarray(call.status, np.int32) for call in told])
    return Migrated(status, verdict, results, error, broken)


def _before(arena: LaidOutRegion, scene: Scene) -> Oracle:
    """The oracle of a call, if the suite's own arena is sound."""
    oracle = Oracle.before(arena, stamped=scene.stamps)
    # A case may hold a page, with a reference that nothing explains; else the suite has made a sound arena.
    broken = oracle.broken(HELD | {"references"})
    if broken is not None:
        sentence = "before any exchange the suite's own arena is not sound, so nobody is judged: look at this machine"
        pytest.fail(f"{sentence}, and at NumPy. {broken}", pytrace=False)
    return oracle


def _sort(arena: LaidOutRegion, pairs: Pairs, verdict: Verdict) -> dict[str, list[str]]:
    """The oracle's sentences, by the clause that each says is broken."""
    broken: dict[str, list[str]] = {}
    named = pairs[((pairs >= 0) & (pairs < arena.nframes)).all(axis=1)]
    order = arena.entries["order"][named[:, 0]].astype(np.int64) if len(named) else np.zeros(0, np.int64)
    # Which frames the pairs name, tails included, as a difference: +1 at the first frame, -1 behind the last.
    mine = np.zeros(arena.nframes + 1, np.int64)
    for side in range(2):
        np.add.at(mine, named[:, side], 1)
        np.add.at(mine, np.minimum(named[:, side] + (1 << np.minimum(order, 9)), arena.nframes), -1)
    inside = np.cumsum(mine[:-1]) > 0
    tail = arena.entries["state"] == STATES["tail"]
    swap = np.where(tail, np.uint64(arena.layout.tail_mask("swap")), np.uint64(arena.layout.mask("swap")))
    for name, pages in verdict.lost.items():
        broken.setdefault("the-flags-move", []).append(f"`{name}` did not go along with {pages} pages")
    for finding in verdict.findings:
        broken.setdefault(_clause(finding, inside, swap), []).append(finding.sentence)
    return broken


def _clause(finding: Finding, inside: NDArray[np.bool_], swap: NDArray[np.uint64]) -> str:
    """The clause that a finding breaks; `inside` and `swap`: which frames are named, and what moves, by frame."""
    if finding.what in _OF_FRAMES and not (0 <= finding.pfn < len(inside) and inside[finding.pfn]):
        return "nothing-else-changes"
    if finding.what == "flag":
        moves = (int(finding.expected) ^ int(finding.got)) & int(swap[finding.pfn])
        return "the-flags-move" if moves else "the-frame-keeps-its-own"
    return _CLAUSE_OF.get(finding.what, "nothing-else-changes")


def statuses(
    clause: str,
    strategy: Strategy,
    pairs: Pairs,
    *,
    order: Literal["independent", "sequential"] = "independent",
    threads: int | None = None,
) -> NDArray[np.int32]:
    """Exchange a list, without the oracle. A plug-in that raises breaks the clause that is being judged."""
    try:
        return strategy.exchange(pairs, order=order, threads=threads).status
    except PluginError as error:
        breaks(clause, [str(error)])


def outcome_of(candidate: Candidate, cell: Cell) -> Outcome:
    """Exchange the pairs of a cell, once for all tests that ask."""
    outcome: Outcome = _once(candidate, cell, exchange)
    return outcome


def migrated_of(candidate: Candidate, cell: Cell) -> Migrated:
    """Let the pairs of a cell trade their nodes by migrations, once for all tests that ask."""
    outcome: Migrated = _once(candidate, cell, migrate)
    return outcome


def _once(candidate: Candidate, cell: Cell, do: Callable[[Strategy, Scene], Any]) -> Any:  # noqa: ANN401 - what it gives
    if cell not in candidate.outcomes:
        # A dozen clauses look at one call: the matrix would take ten times as long otherwise.
        scene = Scene(cell, candidate.own_layout)
        candidate.outcomes[cell] = do(bound(candidate, scene.arena, mode=cell.mode), scene)
        discard(scene.arena)
    return candidate.outcomes[cell]


def bound(candidate: Candidate, arena: Arena, *, mode: Mode = "async", timeout: float | None = None) -> Strategy:
    """Bind a candidate; skip the test where it declares that it does not serve this arena."""
    try:
        return candidate.build(arena, mode=mode, timeout=timeout)
    except PluginError as error:
        _not_built(candidate, error)


def answers(candidate: Candidate, question: str, arena: ArenaFacts) -> list[Served]:
    """Return who answers a question; skip the test where the candidate declines."""
    try:
        return candidate.answers(question, arena)
    except PluginError as error:
        _not_built(candidate, error)


def ask(clause: str, served: Served, call: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401 - its answer
    """Call what a plug-in returned; if it raises, it breaks the clause that is being judged."""
    try:
        return call(*arguments)
    except BaseException as error:  # what calls sys.exit() is broken too, or pytest.skip()
        if interrupt_in(error):
            raise
        breaks(clause, [raised(served, error)])


def two_arrays(clause: str, served: Served, answer: Any) -> tuple[NDArray[Any], NDArray[Any]]:  # noqa: ANN401
    """Return an answer of two arrays, of whatever shape; one of anything else breaks the clause."""
    # Only that there are two: a wrong shape or dtype is the clause's own sentence, with what was expected.
    if not isinstance(answer, (tuple, list)) or len(answer) != 2:
        shown = said(answer, repr, 120)
        reason = f"its object for {ANSWERS[served.question]} returned {shown}, must be two arrays"
        breaks(clause, [str(about(served, f"{reason}. Cure: let it answer as pagexchange/hookspecs.py says"))])
    return ask(clause, served, np.asarray, answer[0]), ask(clause, served, np.asarray, answer[1])


def raised(served: Served, error: BaseException) -> str:
    """Say who raised what, where, and what to do."""
    reason = f"its object for {ANSWERS[served.question]} raised {in_words(error, served.file)}"
    return str(about(served, f"{reason}. Cure: let it answer as pagexchange/hookspecs.py says; a call may not raise"))


def about(served: Served, reason: str) -> PluginError:
    """Return a sentence about a plug-in, with its name, distribution and version."""
    return PluginError(reason, plugin=served.plugin, distribution=served.distribution, version=served.version)


def _not_built(candidate: Candidate, error: PluginError) -> NoReturn:
    """End the test of another clause: skip it where the clause's own test has failed already, else fail."""
    if declines(error):
        pytest.skip(f"declined: {error}")
    if candidate.not_built:
        pytest.skip(f"not judged: {SERVES} is broken, and its own test says so")
    breaks(SERVES, [str(error), "so there is nothing here that the clause of this test could judge"])


def declines(error: PluginError) -> bool:
    """Whether a plug-in said no as it may: None or NotImplementedError from its hook, or a PluginError of its own."""
    cause = error.__cause__
    return not isinstance(error, PluginContractError) and (cause is None or isinstance(cause, PluginError))


def discard(arena: Arena) -> None:
    """Give the memory back now, unless a view of it is alive."""
    with suppress(BufferError):
        arena.close()


def show(clause: str, outcome: Outcome | Migrated) -> None:
    """Fail if an outcome breaks a clause."""
    if outcome.broken.get(clause):
        breaks(clause, outcome.broken[clause])


def breaks(clause: str, sentences: Iterable[str]) -> NoReturn:
    """Fail: which clause, and how it is known."""
    lines = list(sentences)
    more = [f"... and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    text = "\n  ".join([f"broken: {CLAUSES[clause]}", *lines[:_SHOWN], *more])
    raise pytest.fail.Exception(
        visible_lines(text), pytrace=False
    ) from None  # what was raised before is in the sentences


def refusals(status: NDArray[np.int32], what: str = "pair") -> list[str]:
    """Say which pairs, or pages, have a status other than 0."""
    sentences = []
    for i in np.flatnonzero(status).tolist():
        code = int(status[i])
        # a status above 0 is no errno, and a name would make it look like one
        sentences.append(f"{what} {i} has status {f'-{errno_name(code)}' if code < 0 else code}")
    return sentences
