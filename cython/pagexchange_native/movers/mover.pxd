"""The data mover's class: what the engine calls, and what a compiled plug-in cimports and subclasses."""

from pagexchange_native.movers.moves cimport pgx_isa
from pagexchange_native.plugin cimport NativeObject, pgx_log, pgx_mover_ops

cdef class DataMover(NativeObject):
    cdef pgx_mover_ops ops

# The loops for an instruction set by name, or "auto". ValueError: no such name; NotImplementedError: not on this CPU.
cdef const pgx_isa *isa_of(str name) except NULL

# The rows of two arrays as moves, and a log for them: what `move_rows` says of its arguments. A bytearray with a pgx_move
# for each row, and the views that keep in place what these point at.
cdef tuple moves_of(object a, object b, object temp, object record, bint needs_temp, pgx_log *log)
