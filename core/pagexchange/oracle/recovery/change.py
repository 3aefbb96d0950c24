"""A change of structure by a slot: each word is saved before it is stored to, as every call does it."""

from dataclasses import dataclass
from typing import Any

from pagexchange.oracle.format import SAVED, SLOT
from pagexchange.oracle.recovery.image import Record


@dataclass(frozen=True)
class Change:
    """What a slot changes under the structure lock, or under the lock of a page."""

    record: Record

    def put(self, part: str, number: int, dtype: Any, name: str, value: int) -> None:  # noqa: ANN401
        """Changes a field of an item of a part."""
        kind, at = dtype.fields[name][:2]
        self.put_at(self.record.image.raw.offset[part] + number * dtype.itemsize + at, kind.itemsize, value)

    def put_own(self, name: str, value: int) -> None:
        """Changes a field of the slot itself."""
        kind, at = SLOT.fields[name][:2]  # type: ignore[index]
        self.put_at(self.record.where + at, kind.itemsize, value)

    def put_at(self, place: int, size: int, value: int) -> None:
        """Changes a word of `size` bytes."""
        image, n = self.record.image, self.record["saves"]
        assert n < SAVED, "no change of a recovery is so large"
        word, save = image.memory[place : place + size].view(f"<u{size}"), self.record.row["saved"][0]
        image.store(save["where"], n, place << 8 | size)
        image.store(save["old"], n, int(word[0]))
        self.record.store("saves", n + 1)
        image.store(word, 0, value)

    def commit(self) -> None:
        """Makes it count."""
        self.record.store("saves", 0)
