"""Makes small BTF files: only what a test needs of a kernel's types."""

import struct

ARRAY, STRUCT, ENUM, TYPEDEF, ENUM64 = 3, 4, 6, 8, 19


class Blob:
    """Types are numbered from 1, as they are added."""

    def __init__(self, order: str = "<") -> None:
        self.order = order
        self.text = b"\0"
        self.types = b""
        self.count = 0

    def word(self, *values: int) -> bytes:
        return struct.pack(f"{self.order}{len(values)}I", *(value & 0xFFFFFFFF for value in values))

    def name(self, text: str) -> int:
        self.text += text.encode() + b"\0"
        return len(self.text) - len(text.encode()) - 1

    def add(self, name: str, kind: int, members: int, target: int = 0, behind: bytes = b"", flag: int = 0) -> int:
        self.types += self.word(self.name(name) if name else 0, flag << 31 | kind << 24 | members, target) + behind
        self.count += 1
        return self.count

    def enum(self, name: str, values: dict[str, int], wide: bool = False) -> int:
        rows = [(self.name(text), value) for text, value in values.items()]
        if wide:
            behind = b"".join(self.word(text, value, value >> 32) for text, value in rows)
            return self.add(name, ENUM64, len(rows), 8, behind)
        return self.add(name, ENUM, len(rows), 4, b"".join(self.word(*row) for row in rows))

    def array(self, *sizes: int) -> int:
        """An array, of several dimensions or one, behind a typedef as some are."""
        inner = 0
        for size in reversed(sizes):
            inner = self.add("", ARRAY, 0, 0, self.word(inner, 0, size))
        return self.add("some_t", TYPEDEF, 0, inner)

    def struct(self, name: str, **members: int) -> int:
        behind = b"".join(self.word(self.name(text), kind, 0) for text, kind in members.items())
        return self.add(name, STRUCT, len(members), 64, behind)

    def bytes(self) -> bytes:
        header = struct.pack(
            self.order + "HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(self.types), len(self.types), len(self.text)
        )
        return header + self.types + self.text
