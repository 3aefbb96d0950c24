"""Writes a result to where a user says: whole or not at all where that is a file, and never in place of a node or link.

What the path is decides, as it does for cp and tar:

* nothing, or a file: written beside its place, then moved there; a reader, or a crash, never meets half a file. The
  mode of a file that was there stays. Where its folder takes no new file, or it is a mount of its own, the file is
  overwritten.
* a link: what it names is written, the link stays; a link to nothing is refused.
* a character device or a pipe: written to.
* a folder, a block device, a socket: refused.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

_NO_ROOM_BESIDE: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_REFUSED: Final = {
    stat.S_IFDIR: (errno.EISDIR, "is a directory"),
    stat.S_IFBLK: (errno.EINVAL, "is a block device, and what is on it would be lost"),
    stat.S_IFSOCK: (errno.EINVAL, "is a socket"),
}


def check(path: str | os.PathLike[str], *, replace: bool = True) -> None:
    """Find out whether `write` could write there, and change nothing.

    Raises
    ------
    OSError
        It could not; FileExistsError if something is there that may not be replaced.
    """
    place, there = _place(path, replace)
    if there is not None and os.access(place, os.W_OK):
        return
    folder = place.parent
    if not folder.is_dir():
        raise FileNotFoundError(errno.ENOENT, f"there is no folder {folder}", str(path))
    if there is not None and not stat.S_ISREG(there.st_mode):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    if not os.access(folder, os.W_OK | os.X_OK):
        code = errno.EROFS if os.statvfs(folder).f_flag & os.ST_RDONLY else errno.EACCES
        raise OSError(code, f"{os.strerror(code)}: {folder}", str(path))


def write(path: str | os.PathLike[str], data: bytes, *, private: bool = False, replace: bool = True) -> None:
    """Write `data` to what `path` is.

    Parameters
    ----------
    private : bool
        Only its owner may read a file that is made or overwritten.
    replace : bool
        False: nothing must be there yet.

    Raises
    ------
    OSError
        It cannot be written; FileExistsError if something is there that may not be replaced.
    """
    place, there = _place(path, replace)
    if there is not None and not stat.S_ISREG(there.st_mode):
        _overwrite(place, data)
        return
    mode = 0o600 if private else 0o666 if there is None else stat.S_IMODE(there.st_mode)
    try:
        _write_beside(place, data, mode, there)
    except OSError as error:
        # EBUSY: the file is a mount of its own, as containers have them, and cannot be moved over
        if there is None or (error.errno not in _NO_ROOM_BESIDE and error.errno != errno.EBUSY):
            raise
        _overwrite(place, data, private=private)


def _place(path: str | os.PathLike[str], replace: bool) -> tuple[Path, os.stat_result | None]:
    """Where it is to be written, links followed, and what is there."""
    name = os.fspath(path)
    if not replace and os.path.lexists(name):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)
    try:
        there = os.stat(name)  # noqa: PTH116 - by Linux, which may forbid to follow a stranger's link
    except FileNotFoundError:
        if os.path.islink(name):  # noqa: PTH114 - as it was given
            to = Path(name).readlink()
            raise FileNotFoundError(errno.ENOENT, f"is a link to {to}, which is not there", name) from None
        return Path(name), None
    if fault := _REFUSED.get(stat.S_IFMT(there.st_mode)):
        raise OSError(*fault, name)
    place = Path(os.path.realpath(name))
    # /dev/stdout and its like lead to what has no name, or not this name any more
    with suppress(OSError):
        if os.path.samestat(place.stat(), there):
            return place, there
    return Path(name), there


def _write_beside(place: Path, data: bytes, mode: int, there: os.stat_result | None) -> None:
    beside = place.parent / f".pagexchange-{secrets.token_hex(8)}"  # short: the name itself may be as long as can be
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            if there is not None:
                os.fchmod(handle, mode)  # as it was, whatever the umask says
            os.fsync(handle)
        if there is None:
            _move_to_new(beside, place)
        else:
            beside.replace(place)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _move_to_new(beside: Path, place: Path) -> None:
    """Move it where nothing was; FileExistsError if something came there meanwhile."""
    try:
        place.hardlink_to(beside)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
            raise
        # a file system without hard links
        if os.path.lexists(place):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(place)) from None
        beside.replace(place)
    else:
        beside.unlink()


def _overwrite(place: Path, data: bytes, *, private: bool = False) -> None:
    handle = os.open(place, os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        is_file = stat.S_ISREG(os.fstat(handle).st_mode)
        if is_file and private:
            os.fchmod(handle, 0o600)
        left = memoryview(data)
        while left:  # a pipe takes as much as it has room for
            left = left[os.write(handle, left) :]
        if is_file:
            os.ftruncate(handle, len(data))
    finally:
        os.close(handle)
