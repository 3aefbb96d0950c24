# cython: language_level=3, cdivision=True
# cython: freethreading_compatible=False
"""The data mover's base class, the loops by instruction set, and the mover that moves nothing."""

from libc.errno cimport EUCLEAN
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from pagexchange_native.buffers cimport UINT8, address, extent, items, view_of
from pagexchange_native.format cimport PGX_DATA, PGX_LOG_WHOLE, pgx_load64, pgx_step_of
from pagexchange_native.movers.moves cimport (
    PGX_SHARE,
    pgx_isa,
    pgx_isa_find,
    pgx_isas,
    pgx_move_resume,
    pgx_share_begin,
)
from pagexchange_native.plugin cimport (
    PGX_ABI,
    PGX_CHUNK,
    PGX_LOG_NONE,
    PGX_LOG_TEMP,
    PGX_LOG_UNDO,
    NativeObject,
    pgx_log,
    pgx_move,
    pgx_mover_ops,
)

NAMES = ("scalar", "sse2", "avx2", "avx512", "neon")  # of every architecture
KINDS = {PGX_LOG_UNDO: "undo", PGX_LOG_TEMP: "temp", PGX_LOG_NONE: "none"}

cdef enum:
    LOG_AT = 64  # byte of the log in a record, as in a worker's slot
    RECORD_SIZE = LOG_AT + 2 * PGX_CHUNK


cdef const pgx_isa *isa_of(str name) except NULL:
    cdef int known = 0
    cdef const pgx_isa *isa = pgx_isa_find(name.encode(), &known)
    if isa == NULL:
        # One that this build has no loops for, of another architecture, is known all the same: the answer is the same.
        if known or name in NAMES:
            raise NotImplementedError(f"isa '{name}': this CPU does not have it; it has {', '.join(available_isas())}")
        raise ValueError(f"isa '{name}': unknown; use 'auto' or one of {', '.join(NAMES)}")
    return isa


def all_isas():
    """Return the instruction sets that this build has loops for, the widest first."""
    cdef size_t i = 0
    names = []
    while pgx_isas[i].name != NULL:
        names.append(pgx_isas[i].name.decode())
        i += 1
    return names


def available_isas():
    """Return those of `all_isas` that this CPU has."""
    cdef size_t i = 0
    names = []
    while pgx_isas[i].name != NULL:
        if pgx_isas[i].supported():
            names.append(pgx_isas[i].name.decode())
        i += 1
    return names


def shares(uint64_t size, uint32_t threads):
    """Return the first byte of each thread's share of a folio of `size` bytes, and `size` at the end.

    Shares are multiples of two undo chunks, differ by at most that, and lose nothing, whatever the size
    (the 2019 code divided and dropped the remainder). A share may be empty when there are more threads than chunks.
    """
    if threads < 1:
        raise ValueError(f"threads is {threads}; it must be at least 1")
    return [pgx_share_begin(size, k, threads) for k in range(threads + 1)]


cdef class DataMover(NativeObject):
    """Moves the bytes of two folios; a subclass fills in `ops`.

    Attributes
    ----------
    name : str
        Shown in tables.
    """

    def __cinit__(self, *args, **kwargs):
        # The rest is 0 already: no context, nothing to prepare or to give back, and no move function yet.
        self.ops.abi = PGX_ABI
        self.ops.size = sizeof(pgx_mover_ops)
        self.ops.kind = PGX_LOG_UNDO
        self.ops.threads = 1

    cdef str wrong_table(self):
        wrong = self.wrong_header(self.ops.abi, self.ops.size, sizeof(pgx_mover_ops), self.ops.move != NULL, "move")
        if wrong:
            return wrong
        if self.ops.kind not in (PGX_LOG_UNDO, PGX_LOG_TEMP, PGX_LOG_WHOLE, PGX_LOG_NONE):
            return f"log format {self.ops.kind} is not one of the core's, so recovery could not read it"
        if self.ops.threads < 1:
            return "its table says 0 threads: 1 is the smallest number"
        return ""

    @property
    def log(self):
        """The core log format that it works under: "undo", "temp" or "none"."""
        return KINDS.get(self.ops.kind, str(self.ops.kind))

    @property
    def threads(self):
        """How many threads may share a list, or one large folio."""
        return self.ops.threads

    def move_rows(self, object a not None, object b not None, temp=None, record=None):
        """Exchange row i of `a` with row i of `b`, outside any arena: to try a mover out, and for tests.

        Parameters
        ----------
        a, b : uint8[n, bytes], C-contiguous, not overlapping
            A row is a folio; its length is a multiple of 512 bytes.
        temp : uint8[bytes], optional
            The temporary page of a mover whose log is "temp"; one for all rows.
        record : uint8[576 or more], optional
            Where the state word (byte 0) and the two log chunks (byte 64 on) go, as in a worker's slot.
        """
        if self.ops.move == NULL:
            raise TypeError(f"{type(self).__name__} has no move function")
        cdef pgx_log log
        moves, held = moves_of(a, b, temp, record, self.ops.kind == PGX_LOG_TEMP, &log)
        cdef const pgx_move *move = <const pgx_move *>address(moves)
        cdef size_t n = len(moves) // sizeof(pgx_move)
        if n == 0:
            return
        with nogil:
            self.ops.move(self.ops.ctx, move, n, &log)


cdef tuple moves_of(object a, object b, object temp, object record, bint needs_temp, pgx_log *log):
    """Check the arrays of `move_rows` and make `log` write into the record, a new one if there was none.

    Returns a bytearray with a pgx_move for each row, and the views: they keep in place what the moves point at.
    """
    rows_a = view_of(a, "a", UINT8, 2, writable=True)
    rows_b = view_of(b, "b", UINT8, 2, writable=True)
    cdef size_t n = extent(rows_a, 0), size = extent(rows_a, 1), i
    if rows_a.shape != rows_b.shape:
        raise ValueError(f"a is {n} x {size} and b is {extent(rows_b, 0)} x {extent(rows_b, 1)} bytes; "
                         "they must have the same shape")
    if size == 0 or size % PGX_SHARE:
        raise ValueError(f"rows have {size} bytes; it must be a multiple of {PGX_SHARE}, not 0")
    page = None if temp is None else view_of(temp, "temp", UINT8, 1, writable=True)
    if needs_temp and (page is None or <size_t>extent(page, 0) < size):
        raise ValueError(f"this mover needs a temporary page: pass temp=, {size} bytes")
    written = view_of(bytearray(RECORD_SIZE) if record is None else record, "record", UINT8, 1, writable=True)
    if extent(written, 0) < RECORD_SIZE or <size_t>items(written) % 8:
        raise ValueError(f"record must have at least {RECORD_SIZE} bytes and start at a multiple of 8")
    log.state = <uint64_t *>items(written)
    log.chunk = <uint8_t *>items(written) + LOG_AT
    log.phase = PGX_DATA
    log.slot = 0
    log.region = NULL
    moves = bytearray(n * sizeof(pgx_move))
    cdef pgx_move *move = <pgx_move *>address(moves)
    for i in range(n):
        move[i].a = <uint8_t *>items(rows_a) + i * size
        move[i].b = <uint8_t *>items(rows_b) + i * size
        move[i].temp = NULL if page is None else <uint8_t *>items(page)
        move[i].bytes = size
        move[i].pair = <uint32_t>i
    return moves, (rows_a, rows_b, page, written)


def resume_rows(object a not None, object b not None, object record not None, temp=None, str isa="auto"):
    """Finish what `DataMover.move_rows` left undone at any point: the rule of recovery, on plain arrays.

    The state word in `record` names the row and the step; later rows are exchanged from their beginning. With `temp`
    the rule of the temporary page holds, without it that of the undo log. OSError (EUCLEAN) if the word makes no sense.
    """
    cdef const pgx_isa *loops = isa_of(isa)
    cdef uint32_t kind = PGX_LOG_UNDO if temp is None else PGX_LOG_TEMP
    cdef pgx_log log
    moves, held = moves_of(a, b, temp, record, temp is not None, &log)
    cdef const pgx_move *move = <const pgx_move *>address(moves)
    cdef uint64_t n = len(moves) // sizeof(pgx_move)
    cdef uint64_t state = pgx_load64(log.state), step, row
    cdef int rc = 0
    # The word as `pgx_log_step` writes it: 16 bits of row, 40 of step, 8 of phase.
    row = state >> 48
    step = pgx_step_of(state)
    if row >= n or (state & 0xff) != PGX_DATA:
        raise OSError(EUCLEAN, f"state word {state:#x} names no row of {n} in its data step")
    with nogil:
        while row < n and rc == 0:
            rc = pgx_move_resume(loops, kind, move + row, &log, step)
            row += 1
            step = 0
    if rc == -EUCLEAN:
        raise OSError(EUCLEAN, f"state word {state:#x} names a step that a row does not have")


cdef void move_nothing(void *ctx, const pgx_move *moves, size_t n, const pgx_log *log) noexcept nogil:
    pass


cdef class NullMover(DataMover):
    """Moves nothing: what everything but the data step costs."""

    def __cinit__(self, *args, **kwargs):
        self.name = "null"
        self.ops.kind = PGX_LOG_NONE
        self.ops.move = move_nothing

    cpdef dict describe(self):
        """Return the one thing to know about it."""
        return {"moves": "nothing"}
