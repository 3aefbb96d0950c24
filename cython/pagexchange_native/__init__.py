"""Memory and loops: the arena, its XArray, the exchange engine and the movers, in Cython and C."""

from pathlib import Path


def get_include() -> str:
    """Return the folder with `pagexchange/arena.h` and `pagexchange/plugin.h`, for `include_dirs` of an extension."""
    return str(Path(__file__).parent / "include")


def get_cython_include() -> str:
    """Return the folder from which `from pagexchange_native.plugin cimport ...` resolves, for `include_path`."""
    return str(Path(__file__).parents[1])
