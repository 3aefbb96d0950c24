"""What a guest is made of that comes from packages: QEMU, a kernel with its modules, busybox."""

from __future__ import annotations

import lzma
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.guest.packages import Packages

MODULES = ("virtio_pci", "virtio_blk", "ext4", "zram")


@dataclass(frozen=True, slots=True)
class Parts:
    """Where they lie, and how QEMU is called."""

    qemu: tuple[str, ...]
    environment: dict[str, str]
    kernel: Path
    version: str
    modules: tuple[tuple[str, bytes], ...]
    busybox: Path


def parts(folder: Path, series: str) -> Parts:
    """Fetch what is not there yet into a folder; raises SkippedError when it cannot be had."""
    cached = sorted(folder.glob(f"linux-image-{series}[.-]*"))
    packages = Packages(folder / "apt")
    qemu = shutil.which("qemu-system-x86_64")
    if not cached or not (folder / "busybox").exists() or not (qemu or (folder / "qemu").exists()):
        packages.refresh()
    name = cached[-1].name if cached else packages.newest_kernel(series)
    linux = packages.unpack([name], folder / name)
    busybox = packages.unpack(["busybox-static"], folder / "busybox") / "bin" / "busybox"
    command, environment = ((qemu,), dict(os.environ)) if qemu else _unpacked_qemu(packages, folder / "qemu")
    kernel = next((linux / "boot").glob("vmlinuz-*"))
    version = kernel.name.removeprefix("vmlinuz-")
    return Parts(command, environment, kernel, version, tuple(_modules(linux / "lib" / "modules" / version)), busybox)


def _unpacked_qemu(packages: Packages, target: Path) -> tuple[tuple[str, ...], dict[str, str]]:
    """QEMU's command and environment, with those of its libraries that are not installed here."""
    root = packages.unpack([] if target.exists() else packages.missing_for("qemu-system-x86"), target)
    usr = root / "usr"
    data = [part for name in ("qemu", "seabios") for part in ("-L", str(usr / "share" / name))]
    libraries = [folder / "lib" / "x86_64-linux-gnu" for folder in (usr, root)]  # a few packages still have /lib
    return (str(usr / "bin" / "qemu-system-x86_64"), *data), {
        **os.environ,
        "LD_LIBRARY_PATH": os.pathsep.join(map(str, libraries)),
    }


def _modules(folder: Path) -> list[tuple[str, bytes]]:
    """The modules that are named above, after those that they need."""
    files = {file.name.partition(".ko")[0]: file for file in folder.rglob("*.ko*")}
    found: dict[str, bytes] = {}

    def add(name: str) -> None:
        if name in found or name not in files:  # what has no file is part of the kernel
            return
        data = files[name].read_bytes()
        data = lzma.decompress(data) if files[name].suffix == ".xz" else data
        needs = re.search(rb"\0depends=([^\0]*)\0", data)
        for other in needs[1].decode().split(",") if needs and needs[1] else []:
            add(other.replace("-", "_"))
        found[name] = data

    for name in MODULES:
        add(name)
    return list(found.items())
