"""What a sweep takes along: files by their digest, so that a host is given the bytes once, and all the same."""

from __future__ import annotations

import hashlib
import os
import tempfile
from importlib import resources
from pathlib import Path
from typing import Final

from pagexchange.errors import SnapshotError
from pagexchange.model import outfile

_PACKAGED: Final = "machine.pgxsnap"


def digest_of(data: bytes) -> str:
    """Return the sha256 of bytes, in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def packaged_digest() -> str:
    """Return the digest of the snapshot that comes with the package."""
    return digest_of((resources.files("pagexchange") / "data" / _PACKAGED).read_bytes())


def read_file(path: Path) -> bytes:
    """Return the bytes of a snapshot. SnapshotError: it cannot be read, or is a saved machine, which is a folder."""
    try:
        return path.read_bytes()
    except IsADirectoryError:
        why = f"is a folder: make one file of it, `pagexchange snapshot OUT.pgxsnap --proc {path}`"
    except OSError as error:
        why = f"cannot be read: {error.strerror}"
    raise SnapshotError(f"{path}: {why}")


class Cache:
    """The files that a host was given: `DIGEST.SUFFIX` in a folder of the user's cache.

    Parameters
    ----------
    folder
        By default `$XDG_CACHE_HOME/pagexchange/inputs`, or one among the temporary files where that cannot be written.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folders = [folder] if folder else [_cache(), Path(tempfile.gettempdir()) / f"pagexchange-{os.getuid()}"]

    def find(self, name: str) -> Path | None:
        """Return where a file is; None if it is not there, or is not what its name says: then it has to come again."""
        for folder in self._folders:
            path = folder / name
            try:
                if digest_of(path.read_bytes()) == path.stem:
                    return path
            except OSError:
                continue
        return None

    def keep(self, name: str, data: bytes) -> Path:
        """Keep a file; return where. OSError: it cannot be written anywhere. ValueError: it was changed on its way."""
        if digest_of(data) != Path(name).stem:
            raise ValueError(f"{name}: has another digest than its name says: it was changed on its way")
        failed: OSError | None = None
        for folder in self._folders:
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                outfile.write(folder / name, data, private=True)
            except OSError as error:
                failed = failed or error
                continue
            return folder / name
        assert failed is not None
        raise failed


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home).expanduser() / "pagexchange" / "inputs"
