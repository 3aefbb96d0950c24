"""Three modules for the pagexchange that is installed, and one for the headers of the ABI before."""

import shutil
from pathlib import Path

from setuptools import Extension, setup

import pagexchange_native

mine = pagexchange_native.get_include()
other = Path("build/other-include")
shutil.copytree(mine, other, dirs_exist_ok=True)
header = other / "pagexchange" / "arena.h"
text = header.read_text()
assert "#define PGX_ABI 2 " in text
header.write_text(text.replace("#define PGX_ABI 2 ", "#define PGX_ABI 1 "))


def extension(name: str, include: str) -> Extension:
    """One file, one module."""
    return Extension(f"native_strangers.{name}", [f"native_strangers/{name}.pyx"], include_dirs=[include])


setup(
    ext_modules=[
        *(extension(name, mine) for name in ("endless", "by_hand", "compiled_hooks")),
        extension("old_abi", str(other)),
    ],
)
