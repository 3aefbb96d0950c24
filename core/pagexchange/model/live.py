"""The layout of the running kernel, as the text of a layout file: names and places from its BTF, policies by name.

BTF has the enumeration of the flags and no number of the upper fields: their widths are computed as
include/linux/page-flags-layout.h does, from what the sizes of arrays give away. What had to be assumed is said.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, NamedTuple

from pagexchange.model.btf import Btf
from pagexchange.model.tomlfile import written

NAME: Final = "live"
FILE: Final = Path("/sys/kernel/btf/vmlinux")
LARGEST: Final = 64 << 20
"""Bytes of a file that is still read."""

Policy = Literal["swap", "stay", "refuse"]

TAILS: Final[dict[str, Policy]] = {
    "hwpoison": "refuse", "reserved": "refuse", "has_hwpoisoned": "refuse", "partially_mapped": "refuse",
    "anon_exclusive": "swap", "double_map": "swap", "large_rmappable": "stay",
}  # fmt: skip
"""Names that a bit has in the words of tails, and what becomes of it there. All others stay with the frame."""

_UNKNOWN: Final = "not known to pagexchange: a page with it is not exchanged"
_WORD: Final = 64
_PID: Final = 8  # bits of a process in last_cpupid: LAST__PID_SHIFT


class Known(NamedTuple):
    """What the shipped layouts say of a flag or field of some name."""

    policy: Policy
    meaning: str


def read(path: Path = FILE) -> bytes:
    """Return the running kernel's BTF. OSError if there is none; ValueError if there is too much of it."""
    with path.open("rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError(f"more than {LARGEST} bytes")
    return data


def layout_file(data: bytes, known: Mapping[str, Known], kernel: str) -> str:
    """Return a layout file (TOML) for the kernel with this BTF.

    Parameters
    ----------
    data : bytes
        Its BTF.
    known : mapping of str to Known
        Flags and fields by name.
    kernel : str
        Its version, for the summary.

    Raises
    ------
    ValueError
        It is no sound BTF, or it has no flags.
    """
    btf = Btf(data)
    values = btf.enum("pageflags")
    if not values or "PG_locked" not in values:
        raise ValueError("BTF has no enum pageflags with PG_locked")
    count = values.get("__NR_PAGEFLAGS", 1 + max(value for name, value in values.items() if name.startswith("PG_")))
    flags: dict[int, str] = {}
    aliases: dict[str, int] = {}
    for name, bit in values.items():
        if name.startswith("PG_") and 0 <= bit < min(count, _WORD):
            if bit in flags:
                aliases[name.removeprefix("PG_").lower()] = bit
            else:
                flags[bit] = name.removeprefix("PG_").lower()
    notes = [f"{name} (bit {bit}): {_UNKNOWN}" for bit, name in sorted(flags.items()) if name not in known]
    fields = _widths(btf, count, notes)
    lines = [
        "schema = 1",
        f'name = "{NAME}"',
        f"summary = {written(f'Linux {kernel}, as its BTF says')}",
        f"notes = [{', '.join(map(written, notes))}]",
        "",
        "[flags]",
    ]
    for bit, name in sorted(flags.items()):
        here = known.get(name, Known("refuse", _UNKNOWN))
        tail = _tail({name, *(alias for alias, place in aliases.items() if place == bit)})
        said = (
            f"bit = {bit}, policy = {written(here.policy)}, tail = {written(tail)}, meaning = {written(here.meaning)}"
        )
        lines.append(f"{written(name)} = {{ {said} }}")
    lines += ["", "[fields]"]
    for name, width in fields.items():
        here = known[name]
        lines.append(
            f"{name} = {{ width = {width}, policy = {written(here.policy)}, meaning = {written(here.meaning)} }}"
        )
    lines += ["", "[aliases]"]
    lines += [f"{written(alias)} = {written(flags[bit])}" for alias, bit in aliases.items()]
    return "\n".join(lines) + "\n"


def _tail(names: set[str]) -> Policy:
    """What becomes in tails of a bit with these names; what refuses a folio goes before what moves."""
    policies = {TAILS[name] for name in names if name in TAILS}
    return "refuse" if "refuse" in policies else "swap" if "swap" in policies else "stay"


def _widths(btf: Btf, flags: int, notes: list[str]) -> dict[str, int]:
    """Width of each upper field, from the top of the word downwards; what is assumed is added to `notes`."""
    zones = _zones(btf, notes)
    gen, refs = _lru(btf)
    nodes = _nodes(btf, notes)
    left = _WORD - flags - zones - gen
    nodes = nodes if nodes <= left else 0
    left -= nodes
    cpupid = _last_cpupid(btf, notes)
    cpupid = cpupid if cpupid <= left else 0
    left -= cpupid
    notes.append("assumed: memory sections and tags of the memory sanitizer take no bits; BTF does not tell")
    return {
        "section": 0, "node": nodes, "zone": zones, "last_cpupid": cpupid, "kasan_tag": 0, "lru_gen": gen,
        "lru_refs": max(0, min(refs, left)),
    }  # fmt: skip


def _zones(btf: Btf, notes: list[str]) -> int:
    zones = btf.enum("zone_type") or {}
    if "__MAX_NR_ZONES" not in zones:
        notes.append("assumed: 5 to 8 zones; BTF does not tell")
    return _bits(zones.get("__MAX_NR_ZONES", 8))


def _nodes(btf: Btf, notes: list[str]) -> int:
    """Bits of a node's number: how many nodes there can be is the size of an array in each slab cache."""
    most = btf.dimensions("kmem_cache", "node")
    zones = (btf.enum("zone_type") or {}).get("__MAX_NR_ZONES", 0)
    list_of_all = btf.dimensions("zonelist", "_zonerefs")  # zones of all nodes, and one that ends it
    if not most and list_of_all and zones > 0:
        most = ((list_of_all[0] - 1) // zones,)
    if not most:
        notes.append("assumed: 1024 nodes; BTF does not tell")
    return _bits(most[0] if most else 1024)


def _last_cpupid(btf: Btf, notes: list[str]) -> int:
    """Bits of processor and process; none without NUMA balancing, or where the number stands beside the word."""
    if "numa_faults" not in (btf.members("task_struct") or {}) or "_last_cpupid" in (btf.members("page") or {}):
        return 0
    words = btf.dimensions("cpumask", "bits")  # whole words of 64 processors
    if not words or words[0] == 1:
        notes.append("assumed: 64 processors; BTF only tells that there are not more")
    return _PID + _bits(_WORD * (words[0] if words else 1))


def _lru(btf: Btf) -> tuple[int, int]:
    """Bits of the generation and of the accesses, where the kernel has the multi-gen LRU."""
    for name in ("lru_gen_folio", "lru_gen_struct"):  # the second one before Linux 6.3
        generations = btf.dimensions(name, "timestamps")
        # [ANON_AND_FILE][MAX_NR_TIERS]; pahole writes an array of arrays as one of all their elements
        tiers = math.prod(btf.dimensions(name, "avg_refaulted")) // 2
        if generations and tiers:
            return _bits(generations[0] + 1), max(0, tiers - 2)
    return 0, 0


def _bits(values: int) -> int:
    """How many bits so many values take (`order_base_2`)."""
    return max(0, values - 1).bit_length()
