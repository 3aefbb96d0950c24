"""Random small arenas and pairs, the toy exchange: the oracle must call each one exact, and one flipped bit wrong."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pagexchange.oracle import Migration, Oracle, check
from pagexchange.oracle import format as f
from tests.core.toy_arena import LAYOUT, NATIVE, Page, Toy

WORD = st.integers(0, 2**64 - 1)
# What a page may carry; `private` needs a reference, `head` and the lock bits follow from the state.
FREE_CHOICE = NATIVE["swap"] & ~NATIVE["private"]


@st.composite
def arenas(draw: st.DrawFn) -> Toy:
    """Pages of orders 0 to 3 in files, in address spaces, in both or only held; any flags that move."""
    orders = draw(st.lists(st.sampled_from([0, 0, 0, 0, 1, 3]), min_size=4, max_size=24))
    pages: list[Page] = []
    pfn, vpn = 0, 0
    for order in sorted(orders, key=lambda o: -o):
        size = 1 << order
        page = Page(pfn, order, flags=draw(WORD) & FREE_CHOICE)
        if draw(st.booleans()):
            page.mapping, page.marks = draw(st.integers(0, 3)), draw(st.integers(0, 7))
            page.index = draw(st.sampled_from([0, 56, 64, 4088, 4096, 10**6]))
            while any(p.mapping == page.mapping and p.index // 8 == page.index // 8 for p in pages):
                page.index += 8
        for space in draw(st.lists(st.integers(0, 2), max_size=3, unique=page.mapping is None)):
            if page.mapping is not None or not page.maps:  # an anonymous page has one address in all spaces
                vpn += 8 * draw(st.sampled_from([1, 9, 600]))
            page.maps.append((space, vpn))
        if draw(st.booleans()):
            page.flags |= NATIVE["private"]
            page.private = draw(WORD)
        page.held = int(page.mapping is None and not page.maps) or draw(st.integers(0, 1))
        pages.append(page)
        pfn += size * draw(st.sampled_from([1, 1, 2]))
    end = -(-pfn // 16) * 16
    cut = next((p.pfn for p in pages[len(pages) // 2 :] if p.pfn % 8 == 0), end)
    return Toy(pages, nodes=(cut, end - cut + 16) if cut else (end,))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Toy, list[tuple[int, int]], list[int], str]:
    """An arena, pairs of equal order, their statuses, and how the pairs depend on each other."""
    toy = draw(arenas())
    way = draw(st.sampled_from(["independent", "sequential"]))
    pairs: list[tuple[int, int]] = []
    for order in {page.order for page in toy.pages}:
        here = [page.pfn for page in toy.pages if page.order == order]
        if way == "independent":
            mixed = draw(st.permutations(here))
            pairs += list(zip(mixed[::2], mixed[1::2], strict=False))
        elif len(here) > 1:
            two = st.lists(st.sampled_from(here), min_size=2, max_size=2, unique=True)
            pairs += [(a, b) for a, b in draw(st.lists(two, max_size=8))]
    status = draw(st.lists(st.sampled_from([0, 0, 0, -11, -16]), min_size=len(pairs), max_size=len(pairs)))
    return toy, pairs, status, way


def exchange(toy: Toy, pairs: list[tuple[int, int]], status: list[int]) -> None:
    for (a, b), code in zip(pairs, status, strict=True):
        if code == 0:
            toy.exchange(a, b)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases(), st.integers(0, 2**32))
def test_any_exchange_by_the_book_is_exact(case: tuple[Toy, list[tuple[int, int]], list[int], str], seed: int) -> None:
    toy, pairs, status, way = case
    assert check(toy) == []
    oracle = Oracle.before(toy, layout=LAYOUT, seed=seed)
    exchange(toy, pairs, status)
    verdict = oracle.after(np.array(pairs, np.int64).reshape(-1, 2), status, way)  # type: ignore[arg-type]
    assert verdict.kind == "exact", "\n".join(map(str, verdict.findings))
    assert verdict.checked["exchanged"] == status.count(0)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases(), st.data())
def test_one_flipped_bit_anywhere_in_a_page_or_its_entry_is_seen(
    case: tuple[Toy, list[tuple[int, int]], list[int], str], data: st.DataObject
) -> None:
    toy, pairs, status, way = case
    oracle = Oracle.before(toy, layout=LAYOUT)
    exchange(toy, pairs, status)
    page = data.draw(st.sampled_from(toy.pages))
    raw = f.read(toy)
    if data.draw(st.booleans()):
        where = raw.offset["frames"] + page.pfn * 128 + data.draw(st.integers(0, (128 << page.order) - 1))
        bit = data.draw(st.integers(0, 7))
    else:
        # any bit of the entry but its padding and the order of its reverse map, which is free where it is not broken
        name = data.draw(
            st.sampled_from(["flags", "refs", "mapcount", "mapping", "index", "private", "owner", "state"])
        )
        kind, offset = f.ENTRY.fields[name][:2]  # type: ignore[index]
        bit = data.draw(st.integers(0, kind.itemsize * 8 - 1))
        where = raw.offset["entries"] + page.pfn * 64 + offset + bit // 8
        bit %= 8
    waiters_set = where == raw.offset["entries"] + page.pfn * 64 and 1 << bit == NATIVE["waiters"]
    toy.memory[where] ^= 1 << bit
    verdict = oracle.after(np.array(pairs, np.int64).reshape(-1, 2), status, way)  # type: ignore[arg-type]
    assert (verdict.kind == "exact") == waiters_set, str(verdict)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(arenas(), st.data())
def test_any_migration_by_the_book_is_exact_and_one_flipped_bit_of_a_page_wrong(toy: Toy, data: st.DataObject) -> None:
    oracle = Oracle.before(toy, layout=LAYOUT)
    calls: list[Migration] = []
    where = {page.pfn: page for page in toy.pages}
    for node in data.draw(st.lists(st.sampled_from(range(len(toy.nodes))), max_size=3)):
        pfns, status, placed = list(where), [0] * len(where), list(where)
        for i, pfn in enumerate(pfns):
            page, lo = where[pfn], sum(toy.nodes[:node])
            size = 1 << page.order
            blocks = [
                to
                for to in range(-(-lo // size) * size, lo + toy.nodes[node] - size + 1, size)
                if (toy.raw.entries["state"][to : to + size] == f.FREE).all()
            ]
            if toy.node_of(pfn) != node:
                if blocks:
                    placed[i] = data.draw(st.sampled_from(blocks))
                    toy.migrate(pfn, placed[i])
                    where[placed[i]] = where.pop(pfn)
                else:
                    status[i] = -12
        calls.append(Migration(pfns, status, placed, node))
    verdict = oracle.after_migrations(calls)
    assert verdict.kind == "exact", "\n".join(map(str, verdict.findings))
    pfn, page = data.draw(st.sampled_from(sorted(where.items(), key=lambda item: item[0])))
    toy.memory[f.read(toy).offset["frames"] + pfn * 128 + data.draw(st.integers(0, (128 << page.order) - 1))] ^= 4
    assert oracle.after_migrations(calls).by_kind.keys() <= {"contents", "refused"}
    assert oracle.after_migrations(calls).kind == "wrong"
