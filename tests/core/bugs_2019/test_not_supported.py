"""L1 to L6: what the sources could not exchange."""

import errno

import pytest

from pagexchange.model.config import Mode
from pagexchange.oracle import Oracle
from tests.core.pages import EINVAL, NATIVE, Pages, differences, picture, resting

MODES: tuple[Mode, ...] = ("async", "sync-light", "sync")
COMBINATIONS = [("anon", "anon"), ("anon", "file"), ("file", "anon"), ("file", "file")]


def after(kinds: tuple[str, str], *, swapped: bool) -> bytes:
    """The whole arena after one exchange, the two named in this order or the other."""
    pages = Pages()
    pair = pages.pair(kinds)
    before = Oracle.before(pages.arena, stamped=True)
    listed = [pair[::-1] if swapped else pair]
    result = pages.arena.exchange(listed)
    assert result.ok, result.messages()
    assert before.after(result._pairs, result.status).kind == "exact"
    return picture(pages.arena).tobytes()


@pytest.mark.parametrize("kinds", COMBINATIONS, ids="-".join)
def test_l1_all_four_combinations_in_both_orders_give_one_state(kinds: tuple[str, str]) -> None:
    assert after(kinds, swapped=False) == after(kinds, swapped=True)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("side", [0, 1])
def test_l2_a_mapping_that_cannot_move_pages_is_refused_before_anything_is_touched(
    pages: Pages, mode: Mode, side: int
) -> None:
    pages.mappings[0] = pages.arena.new_mapping("special", aops="unmovable")
    pair = pages.pair(("file", "anon") if side == 0 else ("anon", "file"))
    before = picture(pages.arena)
    assert pages.arena.exchange([pair], mode=mode).status.tolist() == [-errno.EOPNOTSUPP]
    assert differences(before, picture(pages.arena)) == []
    assert resting(pages.arena)


@pytest.mark.parametrize(("first", "second"), [(0, 9), (9, 0), (1, 2), (4, 3)])
def test_l3_different_orders_have_an_error_of_their_own(first: int, second: int) -> None:
    pages = Pages(frames=2048)
    pair = [pages.page("file", 0, first), pages.page("anon", 1, second)]
    before = picture(pages.arena)
    result = pages.arena.exchange([pair])
    assert result.status.tolist() == [EINVAL]
    assert result.messages()[0].endswith(f"order {first} against order {second}")
    assert differences(before, picture(pages.arena)) == []


@pytest.mark.parametrize("name", NATIVE)
def test_l4_a_list_takes_every_kind_of_pair_and_has_a_status_for_each(pages: Pages, name: str) -> None:
    pairs = [pages.pair(kinds) for kinds in COMBINATIONS]
    assert pages.arena.exchange(pairs, name).status.tolist() == [0] * 4


@pytest.mark.parametrize("side", [0, 1])
def test_l5_a_swap_cached_page_has_an_explicit_status(pages: Pages, side: int) -> None:
    pair = pages.pair(("anon", "anon"))
    pages.flag(pair[side], "swapcache", "swapbacked")
    before = picture(pages.arena)
    assert pages.arena.exchange([pair]).status.tolist() == [-errno.EOPNOTSUPP]
    assert differences(before, picture(pages.arena)) == []


@pytest.mark.parametrize("mode", MODES)
def test_l6_mlocked_pages_are_exchanged_in_every_mode(pages: Pages, mode: Mode) -> None:
    pair = pages.pair(("anon", "file"))
    pages.flag(pair[0], "mlocked")
    assert pages.arena.exchange([pair], mode=mode).ok
    assert "mlocked" in pages.arena.frame(pair[1]).flags
    assert "mlocked" not in pages.arena.frame(pair[0]).flags
