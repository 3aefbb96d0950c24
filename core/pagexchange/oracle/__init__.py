"""Says whether an exchange lost anything: reads the arena's bytes itself and shares no code with what it judges.

oracle = Oracle.before(arena)
status = exchange(arena, pairs)
verdict = oracle.after(pairs, status)      # "exact", "loses" (flags, by name) or "wrong" (with sentences)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from pagexchange.oracle import stamp as _stamp
from pagexchange.oracle.capture import State, capture
from pagexchange.oracle.compare import compare_entries, compare_hints, compare_places, compare_ptes, compare_rest
from pagexchange.oracle.expect import Expected, Order, expect
from pagexchange.oracle.findings import HELD, Collector, Finding, Kind, Verdict
from pagexchange.oracle.flags import Names, compare_flags, parts_of
from pagexchange.oracle.format import FREE, TAIL, USED, HasMemory, Ints, read
from pagexchange.oracle.idle import Idle
from pagexchange.oracle.invariants import check, counters, invariants
from pagexchange.oracle.migration import Migration, expect_migrations
from pagexchange.oracle.stamp import Copies, Stamps, stamp
from pagexchange.oracle.untouched import compare_untouched, same_header

__all__ = ["HELD", "Copies", "Finding", "Kind", "Migration", "Oracle", "Stamps", "Verdict", "check", "stamp"]


@dataclass(eq=False, repr=False)
class Oracle:
    """An arena's state at one moment, to be compared with what an exchange made of it."""

    arena: HasMemory
    state: State
    stamps: Stamps
    copies: Copies
    idle: Idle
    layout: Names | None
    unsound: Collector
    """What broke a rule before, or was in use."""
    threads: int
    seen: State | None = None
    """The arena as the last `after` found it."""

    @classmethod
    def before(
        cls,
        arena: HasMemory,
        stamped: bool | Stamps = True,
        *,
        layout: Names | None = None,
        seed: int = 0,
        threads: int = 1,
    ) -> "Oracle":
        """Captures an arena that is not in use.

        Parameters
        ----------
        arena
            A `Region`, an `Arena`, or anything with its bytes as `memory`.
        stamped
            True: write stamps over the contents of every page now. A `Stamps`: its pages are stamped already, the
            others are copied. False: keep a copy of every page (as much memory as the pages).
        layout
            Gives names to flags; by default the arena's own `layout`, or else role names and `bit N`. Policies come
            from the arena's header.
        seed
            Of the stamps.
        threads
            How many threads write and compare contents.
        """
        unsound = Collector()
        layout = layout or getattr(arena, "layout", None)
        if stamped is True:
            stamped = stamp(arena, seed=seed, threads=threads)
        raw = read(arena)
        state = capture(raw, unsound)
        invariants(state, unsound)
        # Frames that no page lies in have no contents to compare; what is allocated later has none yet.
        pages = np.isin(state.entries["state"], (USED, TAIL))
        stamps = stamped or Stamps(seed, np.full(raw.nframes, -1, np.int64))
        if len(stamps.ids) != raw.nframes:
            raise ValueError(f"the stamps are of an arena with {len(stamps.ids)} frames; this one has {raw.nframes}")
        # A stamp whose frame is free by now says nothing.
        stamps = Stamps(stamps.seed, np.where(pages, stamps.ids, -1))
        copies = _stamp.keep(arena, pages & (stamps.ids < 0))
        idle = Idle.of(arena, state, stamps.seed, threads)
        return cls(arena, state, stamps, copies, idle, layout, unsound, threads)

    def after(
        self,
        pairs: ArrayLike,
        status: ArrayLike,
        order: Order = "independent",
        *,
        kept: ArrayLike = (),
        taken: int | None = None,
        cap: int = 100,
    ) -> Verdict:
        """Compares the arena with what the successful pairs must have made of it.

        Parameters
        ----------
        pairs
            (n, 2) first frames of folios, as handed to the exchange.
        status
            (n,) 0 or -errno. A pair that was refused must have changed nothing.
        order
            "independent": no frame is in two successful pairs. "sequential": pairs were done one after the other.
        kept
            Frames that a mover has taken and legitimately still holds.
        taken
            How many frames movers took in all, as the exchange says; so many free frames they may have written to. By
            default what the nodes count.
        cap
            How many findings to make at most; all are counted.
        """
        done = np.asarray(status) == 0
        return self._judge(
            lambda findings: expect(self.state, pairs, status, order, findings),
            {"pairs": len(done), "exchanged": int(done.sum())},
            kept=np.asarray(kept, np.int64),
            taken=taken,
            cap=cap,
        )

    def after_migrations(self, calls: Sequence[Migration], *, taken: int | None = None, cap: int = 100) -> Verdict:
        """Compares the arena with what calls that migrate pages, one after the other, must have made of it.

        The frames that pages have left must be free, unless a page of a later call lies there.

        Parameters
        ----------
        calls
            What each was asked for, and what it says of it.
        taken, cap
            As for `after`. Of the frames taken those that hold a page by now are known; of the others, of pages that
            were refused late, as many may have been written to.
        """
        done = [np.asarray(call.status) == 0 for call in calls]
        return self._judge(
            lambda findings: expect_migrations(self.state, calls, findings),
            {"pages": sum(map(len, done)), "migrated": sum(int(rows.sum()) for rows in done)},
            kept=np.zeros(0, np.int64),
            taken=taken,
            cap=cap,
        )

    def _judge(
        self,
        expecting: Callable[[Collector], Expected],
        asked: dict[str, int],
        *,
        kept: Ints,
        taken: int | None,
        cap: int,
    ) -> Verdict:
        findings = Collector(cap, known=self.unsound.reported)
        # Contents first and from the expectation alone; then the tables, each against the expected ones; at last the
        # rules that hold in any arena, which also see what no comparison asks for.
        raw = read(self.arena)
        before = self.state
        if not same_header(before, raw, findings):  # by another geometry everything would be misread
            return findings.verdict()
        self.seen = after = capture(raw, findings)
        exp = expecting(findings)
        nbytes = _stamp.verify_stamps(
            self.arena, self.stamps.moved(exp.source), findings, refused=exp.refused, threads=self.threads
        )
        nbytes += _stamp.verify_copies(
            self.arena, self.copies.moved(exp.source), findings, refused=exp.refused, threads=self.threads
        )
        counted = int((after.nodes["got"] - before.nodes["got"]).astype(np.int64).sum())
        if taken is not None and taken != counted:
            sentence = f"the nodes count {counted} frames handed out meanwhile, {taken} are said to have been taken"
            findings.add("counter", -1, taken, counted, sentence)
        taken = counted if taken is None else taken
        # Those in which a page lies now are not idle any more.
        taken -= int(((before.entries["state"] == FREE) & (exp.entries["state"] != FREE)).sum())
        nbytes += self.idle.compare(self.arena, before, after, taken, findings, self.threads)
        compare_entries(before, after, exp, kept, findings)
        lost, mended = compare_flags(before, after, exp, parts_of(before.layout, self.layout), findings)
        compare_places(before, after, exp, findings)
        compare_hints(before, after, exp, findings)
        compare_ptes(before, after, exp, findings)
        compare_rest(before, after, findings)
        compare_untouched(before, after, findings)
        # A lost `dirty` or `private` is one loss, not also a wrong count. Counters may follow the lost flag, too.
        follow = bool(lost) and not counters(after, after.entries["flags"])
        invariants(after, findings, flags=mended, counted=after.entries["flags"] if follow else mended)
        kind: Kind = "wrong" if findings.total else "loses" if lost else "exact"
        checked = {
            "frames": int((self.stamps.ids >= 0).sum() + (self.copies.rows >= 0).sum()),
            "idle": len(self.idle),
            "bytes": nbytes,
            **asked,
            "places": len(after.places),
            "ptes": len(after.ptes),
        }
        return Verdict(
            kind=kind,
            lost=lost,
            findings=findings.kept,
            total=findings.total,
            by_kind=findings.by_kind,
            checked=checked,
            unsound_before=self.unsound.kept,
        )

    def broken(self, but: frozenset[str] = HELD) -> Verdict | None:
        """What broke a rule of any arena before an exchange, in use or not; None: nothing did.

        `but`: kinds of findings that are no fault there.
        """
        broken = {kind: n for kind, n in self.unsound.by_kind.items() if kind not in but}
        found = [finding for finding in self.unsound.kept if finding.what not in but]
        return Verdict("wrong", findings=found, total=sum(broken.values()), by_kind=broken) if broken else None

    def renewed(self) -> "Oracle":
        """For the next exchange, after an `after` in which nothing had changed its place: that state is the new one.

        It spares a second look at everything. What may be otherwise by then: free lists, statistics, idle frames.
        """
        assert self.seen is not None, "after() comes first"
        idle = Idle.of(self.arena, self.seen, self.stamps.seed, self.threads)
        return replace(self, state=self.seen, idle=idle, seen=None)

    def stamps_after(self, pairs: ArrayLike, status: ArrayLike, order: Order = "independent") -> Stamps:
        """The stamps as an exact exchange left them: `before(stamped=...)` takes them, nothing is written again."""
        exp: Expected = expect(self.state, pairs, status, order, Collector())
        return self.stamps.moved(exp.source)
