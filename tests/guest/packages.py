"""Debian packages, fetched with apt and unpacked without being installed, so that no privilege is needed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from tests.guest.errors import SkippedError

_KERNEL = re.compile(r"linux-image-\d[\d.]*[-+\w]*-cloud-amd64")


class Packages:
    """The packages of the distribution; lists of them and what is downloaded lie in `folder`, and stay there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for tool in ("apt-get", "apt-cache", "dpkg-deb"):
            if shutil.which(tool) is None:
                raise SkippedError(f"no {tool} here: kernel and QEMU come from a Debian or Ubuntu package registry")

    def refresh(self) -> None:
        """Fetch the lists of packages into our own folder: those of the system are root's, and may be old."""
        (self._folder / "lists" / "partial").mkdir(parents=True, exist_ok=True)
        self._apt("apt-get", "update")

    def newest_kernel(self, series: str) -> str:
        """Name of the newest package with a kernel of this series, such as 6.12; the small one for virtual machines."""
        listed = self._apt("apt-cache", "search", "--names-only", "^linux-image-[0-9].*-cloud-amd64$")
        # without a version in the name it is a package that only names another
        found: list[str] = [name for name in re.findall(r"^\S+", listed, re.MULTILINE) if _KERNEL.fullmatch(name)]
        fits = [name for name in found if re.match(rf"linux-image-{re.escape(series)}[.-]\d", name)]
        if not fits:
            raise SkippedError(f"no package of a kernel {series}; there are {', '.join(sorted(found)) or 'none'}")
        return max(fits, key=lambda name: [int(part) for part in re.findall(r"\d+", name)])

    def missing_for(self, name: str) -> list[str]:
        """The packages that `name` needs, itself included, and that are not installed here."""
        listed = self._apt("apt-get", "install", "--print-uris", "-y", "--no-install-recommends", name)
        names: list[str] = re.findall(r"^'\S+' ([^_\s]+)_", listed, re.MULTILINE)
        return names

    def unpack(self, names: list[str], target: Path) -> Path:
        """Unpack these packages into a folder; one that was unpacked wholly before is left as it is."""
        if target.exists():
            return target
        debs = self._folder / f"{target.name}.debs"
        unpacked = target.with_name(f"partial.{target.name}")
        for folder in (debs, unpacked):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        self._apt("apt-get", "download", *names, cwd=debs)
        for deb in sorted(debs.glob("*.deb")):
            subprocess.run(["dpkg-deb", "-x", deb, unpacked], check=True)
        shutil.rmtree(debs)
        unpacked.rename(target)
        return target

    def _apt(self, tool: str, *arguments: str, cwd: Path | None = None) -> str:
        options = {
            "Dir::State::Lists": self._folder / "lists", "Dir::Cache": self._folder / "cache",
            "APT::Sandbox::User": "root", "Debug::NoLocking": "1",
        }  # fmt: skip
        said = [part for key, value in options.items() for part in ("-o", f"{key}={value}")]
        (self._folder / "cache" / "archives" / "partial").mkdir(parents=True, exist_ok=True)
        command = [tool, *said, *arguments]
        done: subprocess.CompletedProcess[str] = subprocess.run(
            command, capture_output=True, text=True, cwd=cwd, env={**os.environ, "LC_ALL": "C"}
        )  # fmt: skip
        if done.returncode:
            raise SkippedError(f"{tool} {' '.join(arguments)} failed:\n{done.stderr.strip() or done.stdout.strip()}")
        return done.stdout
