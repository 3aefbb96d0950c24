"""The entry points of our group in every installed distribution, and what is wrong with anybody's metadata.

Each distribution is read separately: what is broken in one, which need have nothing to do with us, is said and left
out, and hides nobody else's plug-ins. Ours are found as a stranger's are. Where the metadata that come first are not
those of this code, or where a frozen program has none, the package itself says what it has.
"""

import importlib
import os
import stat
import sys
import warnings
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Final, NamedTuple, TypeAlias
from weakref import WeakKeyDictionary

from pagexchange.errors import PluginError, in_words
from pagexchange.hookspecs import GROUP
from pagexchange.strangers import Guard, said
from pagexchange.version import VERSION

OWN: Final = "pagexchange"
"""The distribution of the built-in plug-ins, which a stranger's cannot shadow."""
_BUILT_IN: Final = "pagexchange_plugins"
"""The package of them; its `BUILT_IN` is name -> value of an entry point."""
_FILE: Final = "entry_points.txt"


class Installed(NamedTuple):
    """What there is."""

    entries: list[metadata.EntryPoint]
    wrong: list[str]
    """A sentence for each distribution whose metadata are broken, or are not those of the code that runs."""


class _Ours(metadata.Distribution):
    """This code, where no metadata describe it."""

    def read_text(self, filename: str) -> str | None:
        return f"Metadata-Version: 2.1\nName: {OWN}\nVersion: {VERSION}\n" if filename == "METADATA" else None

    def locate_file(self, path: str | os.PathLike[str]) -> Path:
        return Path(path)


_Stamp: TypeAlias = tuple[object, ...]


class _Cached(NamedTuple):
    """What was read, and what it depends on."""

    found: Installed
    search: _Stamp
    files: list[Path]
    stamp: _Stamp


_cached: _Cached | None = None
_origins: Final[WeakKeyDictionary[metadata.Distribution, tuple[str, str]]] = WeakKeyDictionary()


def installed() -> Installed:
    """Return what the metadata of all distributions say; import nothing.

    They are read once, and again when the search path, a folder on it or one of the files has changed meanwhile: to
    bind a strategy is done often, and reading them takes longer than all the rest of it.
    """
    global _cached  # of the process, as the search path is
    search = _search()
    if _cached is None or _cached.search != search or _stamps(_cached.files) != _cached.stamp:
        # Taken before it is read: what changes meanwhile is read again the next time.
        files = [folder / name for folder in _folders() for name in (_FILE, "METADATA", "PKG-INFO")]
        stamp = _stamps(files)
        _cached = _Cached(_read(), search, files, stamp)
    return Installed(list(_cached.found.entries), list(_cached.found.wrong))


def _search() -> _Stamp:
    """Return what decides which distributions there are: who looks for them, and the folders looked in."""
    return (*map(id, sys.meta_path), metadata.distributions, *sys.path, *_stamps(map(Path, sys.path)))


def _folders() -> Iterator[Path]:
    for dist in _distributions([]):
        folder = getattr(dist, "_path", None)
        if isinstance(folder, Path):
            yield folder


def _stamps(files: Iterable[Path]) -> _Stamp:
    """Return for each file what changes when it is written or replaced; None: it is not there."""
    stamps: list[object] = []
    for file in files:
        try:
            status = file.stat()
            stamps.append((status.st_ino, status.st_size, status.st_mtime_ns, status.st_mode))
        except (OSError, ValueError):  # or no path at all: anything may stand in sys.path
            stamps.append(None)
    return tuple(stamps)


def _read() -> Installed:
    found = Installed([], [])
    names: set[str] = set()
    ours: metadata.Distribution | None = None
    others: list[str] = []  # metadata of ours that are of another version
    for dist in _distributions(found.wrong):
        name, version = origin(dist)
        key = name.lower().replace("_", "-").replace(".", "-")
        if key == OWN:
            if version == VERSION:
                ours = ours or dist
            else:
                others.append(f"{_place(dist)} (version {version or 'unknown'})")
        elif key not in names:  # of two with one name, the import system too takes the first
            names.add(key)
            found.entries.extend(_entries(dist, found.wrong))
    if ours is not None:
        found.entries.extend(_entries(ours, found.wrong))
    else:
        found.entries.extend(_built_in())
    if others:
        what = f"the metadata of {OWN} in {' and '.join(others)} are not those of this code, which is version {VERSION}"
        found.wrong.append(f"{what}: they are left out. Cure: uninstall what is old, and install {OWN} again")
    elif ours is None:
        what = f"{OWN} has no metadata here, as in a program frozen without them"
        found.wrong.append(f"{what}: its built-in plug-ins are taken from the package {_BUILT_IN}")
    return found


def origin(dist: metadata.Distribution | None) -> tuple[str, str]:
    """Return name and version of a distribution: what its folder is named where its metadata cannot be read."""
    if dist is None:
        return "", ""
    # Each of the two parses the whole file anew, and every plug-in of a distribution asks for both.
    if dist not in _origins:
        _origins[dist] = _origin(dist)
    return _origins[dist]


def _origin(dist: metadata.Distribution) -> tuple[str, str]:
    folder_name, _, rest = _stem(dist).partition("-")
    name = version = ""
    try:
        with _guard(), warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # what is missing is None, for now
            name, version = (said(told) if told else "" for told in (dist.name, dist.version))
    except PluginError:
        pass
    return name or folder_name, version or rest.partition("-")[0]


def version_of(module: ModuleType) -> str | None:
    """Return what a library says of its own version; None where that rests on metadata which cannot be read."""
    try:
        with _guard():
            return str(module.__version__)
    except PluginError:
        return None


def _guard() -> Guard:
    return Guard(lambda error: PluginError(in_words(error, "")))


def _distributions(wrong: list[str]) -> Iterator[metadata.Distribution]:
    """Yield all distributions; a finder that somebody installed may raise, and ends the search."""
    try:
        with _guard():
            found = iter(metadata.distributions())
        while True:
            with _guard():
                dist = next(found, None)
            if dist is None:
                return
            yield dist
    except PluginError as error:
        wrong.append(f"the installed distributions cannot be listed to the end: {error.reason}")


def _entries(dist: metadata.Distribution, wrong: list[str]) -> list[metadata.EntryPoint]:
    """Return the entry points of our group in a distribution; what is wrong with the file goes to `wrong`."""
    try:
        with _guard():
            text = dist.read_text(_FILE)
        unreadable = "" if text is not None else _unreadable(dist)
    except PluginError as error:
        text, unreadable = None, error.reason
    if unreadable:
        wrong.append(_sentence(dist, f"{_FILE} cannot be read: {unreadable}"))
    entries, section = [], ""
    for number, line in enumerate(map(str.strip, (text or "").split("\n")), 1):
        if not line or line.startswith("#"):
            continue
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
            continue
        name, equals, value = (part.strip() for part in line.partition("="))
        if not (name and equals and value):
            wrong.append(_sentence(dist, f"{_FILE} line {number}: want NAME = MODULE:ATTRIBUTE, got {line[:80]!r}"))
        elif section == GROUP:
            entries.append(_entry(name, value, dist))
    if entries:
        try:
            with _guard():
                _ = dist.metadata
        except PluginError as error:
            wrong.append(_sentence(dist, f"name and version cannot be read: {error.reason}"))
    return entries


def _entry(name: str, value: str, dist: metadata.Distribution) -> metadata.EntryPoint:
    entry = metadata.EntryPoint(name, value, GROUP)
    vars(entry).update(dist=dist)  # as importlib.metadata itself does: there is no argument for it
    return entry


def _built_in() -> Iterator[metadata.EntryPoint]:
    try:
        names = importlib.import_module(_BUILT_IN).BUILT_IN
    except ImportError:  # a frozen program need not have them
        return
    dist = _Ours()
    for name, value in names.items():
        yield _entry(name, value, dist)


def _unreadable(dist: metadata.Distribution) -> str:
    """Say why a file that is there was not read: importlib.metadata takes most reasons for "there is none"."""
    folder = getattr(dist, "_path", None)
    if not isinstance(folder, Path):
        return ""
    path = folder / _FILE
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):  # none, or metadata that are one file
        return ""
    except OSError as error:
        return error.strerror or str(error)
    if not stat.S_ISREG(mode):
        return "it is no file"
    return "" if os.access(path, os.R_OK) else "permission denied"


def _sentence(dist: metadata.Distribution, what: str) -> str:
    name, version = origin(dist)
    return f"distribution {' '.join(filter(None, (name, version))) or 'without a name'} ({_place(dist)}): {what}"


def _place(dist: metadata.Distribution) -> str:
    return str(getattr(dist, "_path", "") or "unknown place")


def _stem(dist: metadata.Distribution) -> str:
    """Return `name-version` as the folder or file of the metadata is named."""
    name = Path(str(getattr(dist, "_path", "") or "")).name
    stem, dot, kind = name.rpartition(".")
    return stem if dot and kind in ("dist-info", "egg-info") else ""
