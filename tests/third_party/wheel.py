"""The wheel of this checkout: built once, kept by a hash of all that goes into it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[2]
BESIDE = ("pyproject.toml", "README.md", "LICENSE")


def sources() -> list[Path]:
    """Files that end in the wheel or are compiled for it, those that a build makes left out."""
    made = (".so", ".pyc")
    found = [path for root in ("core", "cython", "plugins") for path in (ROOT / root).rglob("*") if path.is_file()]
    return sorted(
        p for p in found if p.suffix not in made and not (p.suffix == ".c" and p.with_suffix(".pyx").exists())
    )


def digest(files: list[Path]) -> str:
    """What the wheel depends on: sources, the build's part of pyproject.toml, who builds."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    parts = [project["build-system"], project["project"], project["tool"]["setuptools"]]
    builders = [sys.version, metadata.version("cython"), metadata.version("setuptools")]
    found = hashlib.sha256(repr((parts, builders)).encode())
    for path in files:
        found.update(f"{path.relative_to(ROOT)} {path.stat().st_size}\n".encode() + path.read_bytes())
    return found.hexdigest()[:16]


def build(cache: Path) -> Path:
    """Return the wheel, from the cache or new: about 1.5 minutes of one CPU."""
    files = sources()
    folder = cache / digest(files)
    if not list(folder.glob("*.whl")):
        for old in cache.iterdir():
            shutil.rmtree(old)
        checkout = folder / "checkout"
        for path in (*files, *(ROOT / name for name in BESIDE)):
            copy = checkout / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        parallel = folder / "parallel.cfg"
        parallel.write_text(f"[build_ext]\nparallel = {len(os.sched_getaffinity(0))}\n")
        subprocess.run(
            [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, checkout],
            check=True, timeout=1200, env=os.environ | {"DIST_EXTRA_CONFIG": str(parallel), "PYTHONPATH": ""},
        )  # fmt: skip
        shutil.rmtree(checkout)
    (wheel,) = folder.glob("*.whl")
    return wheel
