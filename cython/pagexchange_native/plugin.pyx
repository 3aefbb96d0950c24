# cython: language_level=3
# cython: freethreading_compatible=False
"""The base class of native plug-in objects, and the check of their tables."""

from libc.stdint cimport uint32_t

from pagexchange_native.errors import stays_here


cdef class NativeObject:
    """A plug-in's answer in compiled code: a table of functions, a name and what was chosen.

    Attributes
    ----------
    name : str
        Shown in tables.
    """

    def __cinit__(self, *args, **kwargs):
        self.name = type(self).__name__

    def __reduce__(self):
        raise stays_here("a native object of a plug-in", "build its strategy there: pagexchange.strategy(name, arena)")

    def __repr__(self):
        return f"<{type(self).__name__} {self.name!r}>"

    cpdef dict describe(self):
        """Return what was chosen, as text by topic."""
        return {}

    cdef str wrong_table(self):
        return "it has no table of functions"

    cdef str wrong_header(self, uint32_t abi, uint32_t size, size_t expected, bint there, str function):
        # A plug-in may state the ABI that it was compiled for: our `__cinit__` has put the running one into the table.
        stated = getattr(self, "abi", abi)
        if abi != PGX_ABI or stated != PGX_ABI:
            stated = abi if abi != PGX_ABI else stated
            return f"it was compiled for ABI {stated}, this pagexchange has ABI {PGX_ABI}: build it again"
        if size != expected:
            return f"its table has {size} bytes, this pagexchange's {expected}: build it again"
        if not there:
            return f"its table has no function '{function}'"
        return ""


def check_table(native):
    """Return what is wrong with a native object's table: its ABI, its size, a function missing; or an empty string."""
    if not isinstance(native, NativeObject):
        return f"{type(native).__name__} is not a native object"
    return (<NativeObject>native).wrong_table()
