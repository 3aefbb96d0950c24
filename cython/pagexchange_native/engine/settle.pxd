# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""What plug-ins answered about flags and mapping, checked, and written to the record with what follows from it."""

from libc.errno cimport EAGAIN, EBADMSG, EUCLEAN
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from pagexchange_native.engine.drop cimport drop
from pagexchange_native.engine.work cimport Work, Worker
from pagexchange_native.format cimport *
from pagexchange_native.plugin cimport pgx_find
from pagexchange_native.xarray.tree cimport xa_slot_number, xa_slot_word


cdef inline int as_errno(int rc) noexcept nogil:
    """What a plug-in's object answered, as a status: a positive number would send the pair to a mover that may not be there."""
    return rc if rc < 0 else -EBADMSG


# ---- flags -----------------------------------------------------------------------------------------------------------

cdef inline uint32_t kind_of(const pgx_region *r, uint32_t file, uint32_t mapcount) noexcept nogil:
    """Which of the nodes' counters a page is in, whatever its flags: a bit for each (`__folio_migrate_mapping`)."""
    cdef uint32_t is_file = file != 0
    cdef uint32_t shmem = is_file & <uint32_t>(r.mappings[file - is_file].shmem != 0)
    return is_file << PGX_NR_FILE | shmem << PGX_NR_SHMEM | (<uint32_t>(mapcount != 0) & ~is_file) << PGX_NR_ANON


cdef inline uint32_t _counters(const Worker *w, uint32_t kind, uint64_t flags) noexcept nogil:
    """The same, with the one that goes by a flag."""
    return kind | (kind >> PGX_NR_FILE & <uint32_t>(flags & w.r.layout.dirty != 0)) << PGX_NR_DIRTY


cdef inline void take_flags(Worker *w) noexcept nogil:
    """The policy's words: what touches a bit that must stay is refused."""
    cdef uint64_t swap = w.r.layout.swap
    cdef uint64_t touched, differ
    cdef uint32_t k, i
    cdef int rc = w.flags_rc
    cdef Work *p
    w.n_flagged = 0
    w.n_counted = 0
    if rc < 0:
        w.failed = rc if rc == -EBADMSG else w.failed
    for k in range(w.n_live):
        i = w.live[k]
        p = &w.work[i]
        differ = (w.na[k] ^ w.fa[k]) | (w.nb[k] ^ w.fb[k])
        touched = differ & ~swap
        if rc != 0:
            drop(w, i, as_errno(rc))
            continue
        if touched:
            w.violation |= touched
            drop(w, i, -EBADMSG)
            continue
        w.rec.pair[i].side[0].flags = w.na[k]
        w.rec.pair[i].side[1].flags = w.nb[k]
        w.flagged[w.n_flagged] = i
        w.n_flagged += differ != 0
        w.counted[w.n_counted] = i
        w.n_counted += <uint32_t>(p.kind[0] != p.kind[1]) | <uint32_t>(differ & w.r.layout.dirty != 0)


cdef inline void set_targets(Worker *w) noexcept nogil:
    """Writes to the record what the slot's counters are to be: what each frame held is taken off, what it will hold added.

    Before META no frame has its new flags word.
    """
    cdef pgx_slot *rec = w.rec
    cdef uint32_t k, i, side, c, node, before, after
    cdef int64_t frames
    cdef Work *p
    rec.targets = 0
    for k in range(w.n_counted):
        i = w.counted[k]
        p = &w.work[i]
        if p.status != 0:
            continue
        frames = <int64_t>1 << p.order
        for side in range(2):
            node = <uint32_t>pgx_node_of(w.r, p.pfn[side])
            if node >= PGX_MAX_NODES:
                continue
            if not rec.targets >> node & 1:
                rec.targets |= 1ull << node
                for c in range(PGX_NR_COUNTERS):
                    rec.target[node][c] = rec.counter[node][c]
            before = _counters(w, p.kind[side], pgx_load64(&w.r.entries[p.pfn[side]].flags))
            after = _counters(w, p.kind[1 - side], rec.pair[i].side[side].flags)
            for c in range(PGX_NR_COUNTERS):
                rec.target[node][c] += frames * (<int64_t>(after >> c & 1) - <int64_t>(before >> c & 1))


# ---- mapping ---------------------------------------------------------------------------------------------------------

cdef inline bint _accept(Worker *w, const pgx_find *f, uint32_t i, uint32_t side) noexcept nogil:
    """Writes a found slot to the record when it is one, of this page's array, and holds what it must."""
    cdef uint64_t entry = pgx_xa_entry(w.work[i].pfn[side])
    cdef pgx_xarray *xa = &w.r.mappings[w.work[i].mapping[side] - 1].pages
    cdef uint32_t number
    cdef uint64_t *word
    if f.status != 0 or f.found != entry:
        return False
    number = xa_slot_number(w.r, xa, <uint64_t *>(w.r.base + f.slot))
    word = xa_slot_word(w.r, xa, number)
    if word == NULL or pgx_load64(word) != entry:
        return False
    w.work[i].slot[side] = number
    w.rec.pair[i].side[side].slot = number
    return True


cdef inline void take_slots(Worker *w) noexcept nogil:
    """The finder's answers; one that does not hold is asked for once more."""
    cdef pgx_find *f
    cdef uint32_t k, i, side
    cdef int32_t status
    for k in range(w.n_find):
        f = &w.find[k]
        i = w.files[k] >> 1
        side = w.files[k] & 1
        if w.work[i].status != 0 or _accept(w, f, i, side):
            continue
        status = f.status
        if status != 0 and status != -EAGAIN:
            if status == -EBADMSG:
                w.failed = -EBADMSG
            drop(w, i, as_errno(status))
            continue
        w.retries += 1
        f.status = -EAGAIN
        w.plan.mapping.find(w.plan.mapping.ctx, w.r, f, 1)
        if not _accept(w, f, i, side):
            drop(w, i, -EUCLEAN)
