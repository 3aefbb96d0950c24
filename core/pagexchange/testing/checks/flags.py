"""The clauses of a flag policy, judged by calling it with words."""

from typing import Final

import numpy as np
import pytest

from pagexchange.hookspecs import Words
from pagexchange.host.build import Facts
from pagexchange.host.built import Served
from pagexchange.model.layout import Layout
from pagexchange.testing.candidates.candidate import Candidate
from pagexchange.testing.candidates.partners import swapped
from pagexchange.testing.checks.serves import ServesChecks
from pagexchange.testing.scene.layouts import OWN, SHIPPED, UNKNOWN, layout_named
from pagexchange.testing.session.axes import over
from pagexchange.testing.verdict.judge import answers, ask, breaks, two_arrays

_DRAWN: Final = 200


def _layouts(own_layout: bool) -> tuple[str, ...]:
    return (*SHIPPED, UNKNOWN, *([OWN] if own_layout else []))


class FlagChecks(ServesChecks):
    """Tests of the flag policy of a `candidate`, each named after its clause."""

    @over("layout", _layouts)
    def test_flags_swap_what_swaps(self, candidate: Candidate, layout: str) -> None:
        """Each bit whose policy is swap is in the other word afterwards."""
        if candidate.expect == "loses":
            pytest.skip("loses flags by declaration")
        known = _layout(candidate, layout)
        _compare("flags-swap-what-swaps", known, known.mask("swap"), _policy(candidate, known))

    @over("layout", _layouts)
    def test_flags_leave_what_stays(self, candidate: Candidate, layout: str) -> None:
        """Each bit whose policy is stay or refuse is as it was."""
        if candidate.expect == "refused":
            pytest.skip("refused by declaration")
        known = _layout(candidate, layout)
        _compare("flags-leave-what-stays", known, (1 << 64) - 1 ^ known.mask("swap"), _policy(candidate, known))

    @over("layout", _layouts)
    def test_flags_follow_the_words_alone(self, candidate: Candidate, layout: str) -> None:
        """Asked again, one by one, backwards, and after others: the same two words give the same two words."""
        known = _layout(candidate, layout)
        policy = _policy(candidate, known)
        a, b = _words(known)
        clause = "flags-follow-the-words-alone"
        want = _ask(clause, policy, a, b)
        wrong = _differences(known, want, _ask(clause, policy, a, b), "asked again")
        backwards = _ask(clause, policy, a[::-1].copy(), b[::-1].copy())
        wrong += _differences(known, want, tuple(x[::-1] for x in backwards), "asked backwards")
        singly = [_ask(clause, policy, a[i : i + 1], b[i : i + 1]) for i in range(len(a))]
        one_by_one = tuple(np.concatenate([pair[side] for pair in singly]) for side in range(2))
        wrong += _differences(known, want, one_by_one, "asked one by one")
        if wrong:
            breaks(clause, wrong)

    @over("layout", _layouts)
    def test_flags_treat_both_frames_alike(self, candidate: Candidate, layout: str) -> None:
        """Words the other way round give the results the other way round."""
        known = _layout(candidate, layout)
        policy = _policy(candidate, known)
        a, b = _words(known)
        clause = "flags-treat-both-frames-alike"
        new_b, new_a = _ask(clause, policy, b, a)
        wrong = _differences(known, _ask(clause, policy, a, b), (new_a, new_b), "the other way round")
        if wrong:
            breaks(clause, wrong)


def _layout(candidate: Candidate, name: str) -> Layout:
    return candidate.own_layout if name == OWN and candidate.own_layout is not None else layout_named(name)


def _policy(candidate: Candidate, layout: Layout) -> Served:
    return answers(candidate, "flags", Facts(layout))[0]


def _words(layout: Layout) -> tuple[Words, Words]:
    """Each bit alone on either side, all, none, and words drawn at random; none that would be refused."""
    allowed = np.uint64((1 << 64) - 1 ^ layout.mask("refuse"))
    bits = np.uint64(1) << np.arange(64, dtype=np.uint64)
    zero, ones = np.zeros(64, np.uint64), np.full(64, (1 << 64) - 1, np.uint64)
    random = np.random.default_rng(7)
    a = np.concatenate([bits, zero, ones, zero, random.integers(0, 1 << 64, _DRAWN, dtype=np.uint64)])
    b = np.concatenate([zero, bits, zero, ones, random.integers(0, 1 << 64, _DRAWN, dtype=np.uint64)])
    return a & allowed, b & allowed


def _ask(clause: str, policy: Served, a: Words, b: Words) -> tuple[Words, Words]:
    # Copies that refuse writing: a policy is a pure function, and the words are compared with its answer afterwards.
    a, b = a.copy(), b.copy()
    a.flags.writeable = b.flags.writeable = False
    return two_arrays(clause, policy, ask(clause, policy, policy.object, a, b))


def _compare(clause: str, layout: Layout, mask: int, policy: Served) -> None:
    a, b = _words(layout)
    part = np.uint64(mask)
    want = tuple(words & part for words in swapped(layout, a, b))
    got = tuple(words & part for words in _ask(clause, policy, a, b))
    wrong = _differences(layout, want, got, "")
    if wrong:
        breaks(clause, wrong)


def _differences(layout: Layout, want: tuple[Words, ...], got: tuple[Words, ...], when: str) -> list[str]:
    """Name the flags and fields that are not as they should be."""
    if any(w.shape != g.shape or g.dtype != np.uint64 for w, g in zip(want, got, strict=True)):
        shapes = ", ".join(f"{g.dtype}{list(g.shape)}" for g in got)
        return [f"it returned {shapes}, must be uint64[{len(want[0])}] twice"]
    # Named by flag and not by word: one fault shows in hundreds of words.
    wrong = 0
    for w, g in zip(want, got, strict=True):
        wrong |= int(np.bitwise_or.reduce(w ^ g))
    parts = [flag.name for flag in layout.flags if flag.mask & wrong]
    parts += [field.name for field in layout.fields if field.mask & wrong]
    parts += [] if parts or not wrong else [f"unnamed bits {wrong:#x}"]
    return [f"layout {layout.name}: {when + ': ' if when else ''}`{name}` is not as it must be" for name in parts]
