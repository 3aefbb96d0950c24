"""Reads BTF, the kernel's description of its own types: enumerations, and sizes of arrays in structs.

The file is /sys/kernel/btf/vmlinux, some megabytes of a kernel that somebody has built; nothing in it is trusted. Its
format: https://docs.kernel.org/bpf/btf.html
"""

import struct
from typing import Final, NamedTuple

_MAGIC: Final = 0xEB9F
_HEADER: Final = 24
_TYPE: Final = 12
_ARRAY, _STRUCT, _ENUM, _ENUM64 = 3, 4, 6, 19
_THROUGH: Final = frozenset({8, 9, 10, 11, 18})
"""Typedef, volatile, const, restrict, type tag: another name for the type that they point at."""

_FIXED: Final = {1: 4, 2: 0, 3: 12, 7: 0, 8: 0, 9: 0, 10: 0, 11: 0, 12: 0, 14: 4, 16: 0, 17: 4, 18: 0}
_EACH: Final = {4: 12, 5: 12, 6: 8, 13: 8, 15: 12, 19: 12}
"""Bytes behind a type of this kind: so many, or so many for each of its members."""

_DEEP: Final = 32
"""Types that are followed to find an array; C has no use for so many."""


class _Type(NamedTuple):
    name: int
    kind: int
    members: int
    signed: bool
    target: int
    """The type that it points at, where its kind has one."""
    at: int
    """Where what stands behind it begins, in the section of types."""


class Btf:
    """The types of a kernel.

    Parameters
    ----------
    data : bytes
        The whole file.

    Raises
    ------
    ValueError
        It is no BTF, or not a sound one; the message says what is wrong and where.
    """

    def __init__(self, data: bytes) -> None:
        self._order = self._byte_order(data)
        if len(data) < _HEADER:
            raise ValueError(f"no BTF: {len(data)} bytes, the header has {_HEADER}")
        header = struct.unpack_from(self._order + "HBBIIIII", data)
        version, length, type_at, type_size, text_at, text_size = header[1], *header[3:]
        if version != 1:
            raise ValueError(f"BTF of version {version}; version 1 is known")
        self._types = self._part(data, "types", length + type_at, type_size)
        self._text = self._part(data, "names", length + text_at, text_size)
        self._all = self._walk()

    @staticmethod
    def _byte_order(data: bytes) -> str:
        for order in "<>":
            if data[:2] == struct.pack(order + "H", _MAGIC):
                return order
        raise ValueError(f"no BTF: it begins with {data[:2].hex() or 'nothing'}, not with {_MAGIC:x}")

    @staticmethod
    def _part(data: bytes, name: str, start: int, size: int) -> bytes:
        if start < _HEADER or start + size > len(data):
            raise ValueError(f"BTF: the {name} lie at {start} to {start + size}, outside of {len(data)} bytes")
        return data[start : start + size]

    def _walk(self) -> list[_Type]:
        """All types, by number; 0 is `void`."""
        types, unpack = self._types, struct.Struct(self._order + "III").unpack_from
        found, at, end = [_Type(0, 0, 0, False, 0, 0)], 0, len(self._types)
        while at < end:
            if at + _TYPE > end:
                raise ValueError(f"BTF: type {len(found)} is cut off")
            name, info, target = unpack(types, at)
            kind, members = info >> 24 & 31, info & 0xFFFF
            behind = _EACH[kind] * members if kind in _EACH else _FIXED.get(kind)
            if behind is None:  # how long it is cannot be known, so all that follows is lost
                raise ValueError(f"BTF: type {len(found)} is of kind {kind}, which is not known")
            at += _TYPE
            if at + behind > end:
                raise ValueError(f"BTF: type {len(found)} has {members} members, more than there is room for")
            found.append(_Type(name, kind, members, bool(info >> 31), target, at))
            at += behind
        return found

    def _name(self, at: int) -> str:
        end = self._text.find(b"\0", at)
        if end < 0:
            raise ValueError(f"BTF: a name at {at}, outside of {len(self._text)} bytes of names")
        return self._text[at:end].decode("utf-8", "backslashreplace")

    def _named(self, name: str, *kinds: int) -> _Type | None:
        start = 0
        wanted = name.encode() + b"\0"
        places = set()
        while (start := self._text.find(wanted, start)) >= 0:
            places.add(start)
            start += 1
        return next((each for each in self._all if each.kind in kinds and each.name in places), None)

    def enum(self, name: str) -> dict[str, int] | None:
        """Return the names and values of an enumeration, in its order; None if there is no such one."""
        found = self._named(name, _ENUM, _ENUM64)
        if found is None:
            return None
        values: dict[str, int] = {}
        for n in range(found.members):
            if found.kind == _ENUM:
                where, low = struct.unpack_from(
                    self._order + ("Ii" if found.signed else "II"), self._types, found.at + 8 * n
                )
                values[self._name(where)] = low
            else:
                where, low, high = struct.unpack_from(self._order + "III", self._types, found.at + 12 * n)
                value = high << 32 | low
                values[self._name(where)] = value - (1 << 64) if found.signed and high >> 31 else value
        return values

    def members(self, name: str) -> dict[str, int] | None:
        """Return the names and types of a struct's members; None if there is no such struct."""
        found = self._named(name, _STRUCT)
        if found is None:
            return None
        rows = (struct.unpack_from(self._order + "III", self._types, found.at + 12 * n) for n in range(found.members))
        return {self._name(where): kind for where, kind, _ in rows}

    def dimensions(self, name: str, member: str) -> tuple[int, ...]:
        """Return the sizes of the array that a struct has as a member; () if it has none of this name."""
        number = (self.members(name) or {}).get(member, 0)
        sizes = []
        for _ in range(_DEEP):
            if not 0 < number < len(self._all):
                break
            found = self._all[number]
            if found.kind in _THROUGH:
                number = found.target
            elif found.kind == _ARRAY:
                number, _, size = struct.unpack_from(self._order + "III", self._types, found.at)
                sizes.append(size)
            else:
                break
        return tuple(sizes)
