# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: freethreading_compatible=False
"""The data mover's base class, the loops by instruction set, and the mover that moves nothing."""

from libc.errno cimport EINVAL, EUCLEAN
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from pagexchange_native.movers.moves cimport (
    PGX_SHARE,
    pgx_auto_swap,
    pgx_copy_page,
    pgx_isa,
    pgx_isa_find,
    pgx_isas,
    pgx_move_resume,
    pgx_rfc_swap,
    pgx_share_begin,
    pgx_temp_exchange,
)
from pagexchange_native.plugin cimport pgx_log, pgx_move, pgx_mover_ops
from pagexchange_native.format cimport (
    PGX_ABI,
    PGX_CHUNK,
    PGX_DATA,
    PGX_LOG_NONE,
    PGX_LOG_TEMP,
    PGX_LOG_UNDO,
    pgx_load64,
)

NAMES = ("scalar", "sse2", "avx2", "avx512", "neon")  # of every architecture
KINDS = {PGX_LOG_UNDO: "undo", PGX_LOG_TEMP: "temp", PGX_LOG_NONE: "none"}

cdef enum:
    LOG_AT = 64  # byte of the log in a record, as in a worker's slot


cdef const pgx_isa *isa_of(str name) except NULL:
    cdef int known = 0
    cdef const pgx_isa *isa = pgx_isa_find(name.encode(), &known)
    if isa == NULL:
        if known or name in NAMES:
            raise NotImplementedError(f"isa '{name}': this CPU does not have it; it has {', '.join(available_isas())}")
        raise ValueError(f"isa '{name}': unknown; use 'auto' or one of {', '.join(NAMES)}")
    return isa


cdef const pgx_isa *best_isa() noexcept nogil:
    cdef int known
    return pgx_isa_find("auto", &known)


cdef int resume_move(const pgx_isa *isa, uint32_t kind, const pgx_move *move, const pgx_log *log,
                     uint64_t step) noexcept nogil:
    return pgx_move_resume(isa, kind, move, log, step)


cdef void temp_exchange(uint8_t *a, uint8_t *b, uint8_t *temp, uint64_t size, uint64_t step, const pgx_log *log,
                        uint32_t pair) noexcept nogil:
    pgx_temp_exchange(a, b, temp, size, step, log, pair)


cdef void rfc_swap(uint8_t *a, uint8_t *b, uint64_t size) noexcept nogil:
    pgx_rfc_swap(a, b, size, NULL)


cdef void auto_swap(uint8_t *a, uint8_t *b, uint64_t size) noexcept nogil:
    pgx_auto_swap(a, b, size, NULL)


cdef void copy_page(uint8_t *to, const uint8_t *source, uint64_t size) noexcept nogil:
    pgx_copy_page(to, source, size)


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


cdef class DataMover:
    """Moves the bytes of two folios; a subclass fills in `ops`.

    Attributes
    ----------
    name : str
        Shown in tables.
    """

    def __cinit__(self, *args, **kwargs):
        self.ops.abi = PGX_ABI
        self.ops.size = sizeof(pgx_mover_ops)
        self.ops.kind = PGX_LOG_UNDO
        self.ops.threads = 1
        self.ops.ctx = NULL
        self.ops.prepare = NULL
        self.ops.release = NULL
        self.ops.move = NULL
        self.name = type(self).__name__

    cpdef dict describe(self):
        """Return what was chosen, as text by topic."""
        return {}

    @property
    def log(self):
        """The core log format that it works under: "undo", "temp" or "none"."""
        return KINDS.get(self.ops.kind, str(self.ops.kind))

    @property
    def threads(self):
        """How many threads may share a list, or one large folio."""
        return self.ops.threads

    def move_rows(self, uint8_t[:, ::1] a not None, uint8_t[:, ::1] b not None, uint8_t[::1] temp=None,
                  uint8_t[::1] record=None):
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
        moves, record = _moves(a, b, temp, record, self.ops.kind == PGX_LOG_TEMP)
        cdef uint8_t[::1] table = moves
        cdef uint8_t[::1] written = record
        cdef pgx_log log
        cdef size_t n = a.shape[0]
        if n == 0:
            return
        _log_at(&log, written)
        with nogil:
            self.ops.move(self.ops.ctx, <const pgx_move *>&table[0], n, &log)


cdef void _log_at(pgx_log *log, uint8_t[::1] record) noexcept:
    log.state = <uint64_t *>&record[0]
    log.chunk = &record[LOG_AT]
    log.phase = PGX_DATA
    log.slot = 0
    log.region = NULL


cdef tuple _moves(uint8_t[:, ::1] a, uint8_t[:, ::1] b, uint8_t[::1] temp, uint8_t[::1] record, bint needs_temp):
    """Checks the arrays of `move_rows`; returns a table of pgx_move and the record, new if there was none."""
    cdef size_t n = a.shape[0], size = a.shape[1], i
    cdef uint8_t[::1] table
    cdef pgx_move *move
    if a.shape[0] != b.shape[0] or a.shape[1] != b.shape[1]:
        raise ValueError(f"a is {a.shape[0]} x {a.shape[1]} and b is {b.shape[0]} x {b.shape[1]} bytes; "
                         "they must have the same shape")
    if size == 0 or size % PGX_SHARE:
        raise ValueError(f"rows have {size} bytes; it must be a multiple of {PGX_SHARE}, not 0")
    if needs_temp and (temp is None or temp.shape[0] < <Py_ssize_t>size):
        raise ValueError(f"this mover needs a temporary page: pass temp=, {size} bytes")
    if record is None:
        record = bytearray(LOG_AT + 2 * PGX_CHUNK)
    elif record.shape[0] < LOG_AT + 2 * PGX_CHUNK or <size_t>&record[0] % 8:
        raise ValueError(f"record must have at least {LOG_AT + 2 * PGX_CHUNK} bytes and start at a multiple of 8")
    moves = bytearray(max(n, 1) * sizeof(pgx_move))
    table = moves
    for i in range(n):
        move = <pgx_move *>&table[0] + i
        move.a = &a[i, 0]
        move.b = &b[i, 0]
        move.temp = NULL if temp is None else &temp[0]
        move.bytes = size
        move.pair = <uint32_t>i
    return moves, record


def resume_rows(uint8_t[:, ::1] a not None, uint8_t[:, ::1] b not None, uint8_t[::1] record not None,
                uint8_t[::1] temp=None, str isa="auto"):
    """Finish what `DataMover.move_rows` left undone at any point: the rule of recovery, on plain arrays.

    The state word in `record` names the row and the step; later rows are exchanged from their beginning. With `temp`
    the rule of the temporary page holds, without it that of the undo log. OSError (EUCLEAN) if the word makes no sense.
    """
    cdef const pgx_isa *loops = isa_of(isa)
    cdef uint32_t kind = PGX_LOG_UNDO if temp is None else PGX_LOG_TEMP
    moves, record = _moves(a, b, temp, record, temp is not None)
    cdef uint8_t[::1] table = moves
    cdef pgx_log log
    cdef uint64_t state, step, row
    cdef int rc = 0
    _log_at(&log, record)
    state = pgx_load64(log.state)
    row = state >> 48
    step = (state >> 8) & ((<uint64_t>1 << 40) - 1)
    if row >= <uint64_t>a.shape[0] or (state & 0xff) != PGX_DATA:
        raise OSError(EUCLEAN, f"state word {state:#x} names no row of {a.shape[0]} in its data step")
    with nogil:
        while row < <uint64_t>a.shape[0] and rc == 0:
            rc = resume_move(loops, kind, <const pgx_move *>&table[0] + row, &log, step)
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
