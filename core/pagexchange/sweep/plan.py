"""What a sweep does: its points with their cells, each as a text that any host can run, and files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pagexchange.sweep import axes as ax

if TYPE_CHECKING:
    from pagexchange.samples.schema import Manifest, Planned


@dataclass(frozen=True)
class Point:
    """One point of the axes: what a host is sent, and does as a whole, its cells in turns."""

    number: int
    """From 0, in the order of tables."""
    values: ax.Point
    text: str
    """The resolved strategies.toml; it names files by their digests."""
    files: tuple[str, ...]
    """Names of those, `DIGEST.SUFFIX`, as the text has them."""
    cells: tuple[Planned, ...]
    arena_bytes: int
    """Of pages: both nodes."""

    @property
    def words(self) -> str:
        """The point for people."""
        return ax.words(self.values) or "the one point"


@dataclass(frozen=True)
class Plan:
    """All points of a sweep, and what they need."""

    manifest: Manifest
    points: tuple[Point, ...]
    files: dict[str, bytes]
    """Name -> contents of what is sent beside the points."""
    plugins: dict[str, tuple[str, str]]
    """Plug-in -> name and version of its distribution."""
    packaged: str = ""
    """Digest of the packaged snapshot, if a point runs on it."""
    broken: tuple[str, ...] = ()
    """What is wrong with plug-ins here, a sentence each: their cells fail, elsewhere perhaps not."""
