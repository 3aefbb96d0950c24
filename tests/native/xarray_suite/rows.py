"""What the suite has to show: each function of Linux's lib/test_xarray.c, and what that file does not test.

A test stands for the row whose name follows `test_`, up to a double underscore: `test_check_find_4`,
`test_check_reserve__a_store_needs_no_memory`. `test_rows.py` fails when a row that applies has none.
"""

from typing import Final, NamedTuple


class Row(NamedTuple):
    """One function there, and what it means here."""

    name: str
    applies: str
    """A: to any XArray. Multi: with entries of more than one index. optional: with a call that ours does not have.
    P: with nodes and internal entries in sight. N: to Linux only. driver: calls others. gap: missing there, needed.
    """
    note: str = ""
    """Size, where it is a number; how ours differs; or, for a row without a test, why it has none."""


ROWS: Final = (
    # helpers
    Row("xa_mk_index", "A"),
    Row("xa_store_index", "A"),
    Row("xa_insert_index", "A"),
    Row("xa_alloc_index", "A"),
    Row("xa_erase_index", "A"),
    Row("xa_store_order", "A"),
    # single entries
    Row("check_xa_err", "A"),
    Row("check_xas_retry", "P", "the cursor looks its entry up again in each call: it never stands in a dead node"),
    Row("check_xa_load", "A", "1024 indexes, all loaded after each step"),
    Row("check_xa_mark_1", "Multi", "indexes 0 to 16380 by 4, orders 2 to 7"),
    Row("check_xa_mark_2", "A", "1000 entries"),
    Row("check_xa_mark_3", "Multi"),
    Row("check_xa_mark", "driver", "calls check_xa_mark_1 to _3"),
    Row("check_xa_shrink", "A", "orders 0 to 14; a freed node holds no retry entry: `seq` sends readers back"),
    Row("check_insert", "A", "0 to 1023, 2^10 to 2^63 and one below each, the last index"),
    Row("check_cmpxchg", "A"),
    Row("check_cmpxchg_order", "Multi"),
    Row("check_reserve", "A", "plain and while ids are given out"),
    Row("check_xas_erase", "A", "200 ranges of i + 17 entries"),
    # multi-index entries
    Row("check_multi_store_1", "Multi", "orders 0 to 19, three places each"),
    Row("check_multi_store_2", "Multi"),
    Row("check_multi_store_3", "Multi"),
    Row("check_multi_store", "Multi", "all pairs of orders 0 to 59"),
    Row("check_xa_multi_store_adv_add", "Multi"),
    Row("check_xa_multi_store_adv_del_entry", "Multi"),
    Row("check_xa_multi_store_adv_delete", "Multi"),
    Row("test_get_entry", "Multi"),
    Row("check_xa_multi_store_adv", "Multi"),
    Row(
        "check_multi_store_advanced",
        "Multi",
        "orders 0 to 19 at four places, every index",
    ),
    Row("check_get_order", "Multi", "orders 0 to 19, ten places, every index"),
    Row("check_xas_get_order", "Multi", "the same"),
    Row(
        "check_xas_conflict_get_order",
        "Multi",
        "all smaller ranges up to order 10, outer and middle ones above",
    ),
    # allocation of indexes
    Row("check_xa_alloc_1", "A", "from base 0 and 1"),
    Row("check_xa_alloc_2", "A", "no array is an allocating one for good: store RESERVED, not None, to keep an index"),
    Row("check_xa_alloc_3", "A", "1 to 0x3fff, and up to 2^32 - 1"),
    Row("check_xa_alloc", "driver", "calls check_xa_alloc_1 to _3"),
    # stores over what is there
    Row("__check_store_iter", "Multi"),
    Row("check_store_iter", "Multi", "orders 0 to 19"),
    # search
    Row("check_multi_find_1", "Multi", "orders 2 to 9"),
    Row("check_multi_find_2", "Multi", "orders 0 to 9, every index within"),
    Row("check_multi_find_3", "Multi", "orders 5 to 63"),
    Row("check_find_1", "A", "all pairs and starts of 0 to 99"),
    Row("check_find_2", "A", "with a counter of its own"),
    Row("check_find_3", "A", "all pairs of 0 to 99"),
    Row("check_find_4", "A"),
    Row("check_find", "driver", "calls check_find_1 to _4 and check_multi_find_1 to _3"),
    Row("xa_find_entry", "A"),
    Row("check_find_entry", "A", "orders 0 to 19, 32 entries each"),
    Row("check_pause", "Multi", "orders 0 to 63, up and down"),
    # stepping
    Row("check_move_tiny", "A"),
    Row("check_move_max", "A"),
    Row("check_move_small", "A", "2^2 to 2^15, and one below each"),
    Row("check_move", "A", "65536 entries"),
    # room made beforehand
    *(
        Row(
            name,
            "P",
            "no call makes nodes beforehand: a store takes all that it needs, or none",
        )
        for name in ("xa_store_many_order", *(f"check_create_range_{i}" for i in range(1, 6)), "check_create_range")
    ),
    # ranges
    Row("__check_store_range", "A"),
    Row("check_store_range", "A", "all [i, j] of 0 to 127 at six offsets"),
    # splits
    *(
        Row(name, "optional", "nothing in the arena splits a folio: an entry keeps its order until it is erased")
        for name in ("check_split_1", "check_split_2")
    ),
    Row("check_split", "driver", "calls check_split_1 and _2"),
    # what an entry may be
    *(
        Row(name, "N", "values are numbers here, not pointers with free low bits")
        for name in ("check_align_1", "check_align_2")
    ),
    Row("check_align", "A", "its second half: a reserved slot is stored to without memory"),
    *(
        Row(name, "P", "no call-back when a node's counts change, and no list of nodes that hold shadow entries only")
        for name in ("test_update_node", "shadow_remove", "check_workingset")
    ),
    Row("check_account", "A", "orders 1 to 11, counts read from the arena; nodes count entries of one kind only"),
    Row("check_destroy", "A", "0 to 999, the last index, order 11"),
    Row("xarray_checks", "driver", "calls all of them"),
    # not in that file
    Row("gap_marks_kept_on_replace", "gap"),
    Row("gap_two_slots_exchanged_under_one_lock", "gap"),
    Row("gap_reader_without_a_lock_against_a_replace", "gap"),
    Row("gap_sticky_errors", "gap"),
    Row("gap_no_memory_at_each_node_of_a_store", "gap"),
)
