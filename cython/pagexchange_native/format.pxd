"""The arena's structs and the atomic words, as Cython sees them: declarations of `arena.h` and `atomic.h`."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "pagexchange/arena.h" nogil:
    enum:
        PGX_ENDIAN
        PGX_VERSION
        PGX_ABI
        PGX_MAX_NODES
        PGX_MAX_ORDER
        PGX_BATCH
        PGX_CHUNK
        PGX_TAIL_WORDS
        PGX_PAGE_MIN
        PGX_PIECE
        PGX_PIECES
        PGX_PINS
        PGX_CALL_SLOTS
        PGX_MAX_SLOTS
        PGX_SAVED
        PGX_SAVED_NODE
        PGX_SAVED_SET
        PGX_SAVED_CLEARED
        PGX_SAVED_ROW
        PGX_SAVED_TAKEN
        PGX_SAVED_FREED
        PGX_OFFLINE
        PGX_FREE
        PGX_USED
        PGX_TAIL
        PGX_RESERVED
        PGX_XA_SHIFT
        PGX_XA_SLOTS
        PGX_XA_MARKS
        PGX_AOPS_MIGRATE
        PGX_AOPS_NONE
        PGX_AOPS_UNMOVABLE
        PGX_TABLE_SLOTS
        PGX_NR_FILE
        PGX_NR_SHMEM
        PGX_NR_ANON
        PGX_NR_DIRTY
        PGX_NR_COUNTERS
        PGX_IDLE
        PGX_INTENT
        PGX_DATA
        PGX_META
        PGX_HELP
        PGX_BACK
        PGX_TAILS
        PGX_HELD_BY_GET
        PGX_OWNER_SLOT
        PGX_OWNER_KEEPER_SHIFT
        PGX_OWNER_KEEPER
        PGX_LOG_UNDO
        PGX_LOG_TEMP
        PGX_LOG_WHOLE
        PGX_LOG_NONE
    const char *PGX_MAGIC
    const uint32_t PGX_FROZEN
    const uint32_t PGX_OWNER_CALL
    const uint32_t PGX_SLOT_HEAD
    const uint64_t PGX_XA_WRITER
    const uint64_t PGX_ANON
    const uint64_t PGX_SPLIT
    const uint64_t PGX_PIN_LONG
    const uint64_t PGX_PTE_PRESENT
    const uint64_t PGX_PTE_MIGRATION
    const uint64_t PGX_PTE_WRITE
    const uint64_t PGX_PTE_ACCESSED
    const uint64_t PGX_PTE_BITS

    ctypedef struct pgx_entry:
        uint64_t flags
        uint32_t refs
        uint32_t owner
        uint64_t mapping
        uint64_t index
        uint64_t private_
        uint32_t mapcount
        uint32_t rmap
        uint32_t next
        uint32_t slot
        uint32_t prev
        uint32_t head
        uint8_t order
        uint8_t state
        uint16_t held

    ctypedef struct pgx_xarray:
        uint64_t head
        uint64_t lock
        uint32_t seq
        uint32_t flags

    ctypedef struct pgx_xanode:
        uint8_t shift
        uint8_t offset
        uint8_t count
        uint8_t used
        uint32_t parent
        uint64_t array
        uint32_t next
        uint64_t[3] marks
        uint64_t[64] slot

    ctypedef struct pgx_mapping:
        pgx_xarray pages
        uint32_t used
        uint32_t aops
        uint32_t shmem
        uint32_t generation
        uint64_t nr_pages
        char[64] name

    ctypedef struct pgx_space:
        pgx_xarray tables
        uint32_t used
        uint64_t nr_ptes
        uint64_t nr_anon
        uint32_t generation
        char[64] name

    ctypedef struct pgx_pte:
        uint64_t pte
        uint32_t next

    ctypedef struct pgx_table:
        uint32_t space
        uint32_t count
        uint64_t base
        uint32_t next
        pgx_pte[64] pte

    ctypedef struct pgx_pool:
        uint32_t free_head
        uint32_t free
        uint32_t fresh

    ctypedef struct pgx_node:
        char[32] name
        uint64_t start
        uint64_t frames
        uint32_t lock
        uint32_t number
        uint64_t wm_min
        uint64_t wm_low
        uint64_t wm_high
        uint64_t free
        uint64_t asked
        uint64_t got
        uint64_t below_low
        uint64_t below_min
        uint32_t[10] list

    ctypedef struct pgx_layout:
        char[32] name
        uint64_t swap
        uint64_t stay
        uint64_t refuse
        uint64_t locked
        uint64_t writeback
        uint64_t dirty
        uint64_t swapbacked
        uint64_t private_
        uint64_t swapcache
        uint64_t hwpoison
        uint64_t reserved
        uint64_t head
        uint64_t waiters
        uint64_t tail_broken
        uint32_t node_shift
        uint32_t node_width
        uint32_t zone_shift
        uint32_t zone_width
        uint64_t tail_swap
        uint64_t tail_refuse

    ctypedef struct pgx_side:
        uint64_t flags
        uint64_t mapping
        uint64_t index
        uint64_t private_
        uint32_t pfn
        uint32_t rmap
        uint32_t mapcount
        uint32_t slot
        uint32_t refs
        uint16_t held

    ctypedef struct pgx_pair:
        pgx_side[2] side
        int32_t status
        uint32_t temp
        uint8_t order
        uint8_t kind

    ctypedef struct pgx_saved:
        uint64_t where
        uint64_t old

    ctypedef struct pgx_slot:
        uint64_t state
        uint64_t claim
        uint32_t n
        uint32_t parent
        uint64_t lo
        uint64_t hi
        uint64_t tree
        uint64_t give
        uint64_t drop
        uint8_t[2][256] log
        int64_t[16][4] counter
        int64_t[16][4] target
        uint64_t targets
        uint64_t saves
        uint64_t node_saves
        pgx_saved[256] saved
        pgx_saved[128] saved_node
        pgx_pair[128] pair

    ctypedef struct pgx_header:
        char[8] magic
        uint32_t endian
        uint32_t version
        uint32_t header_size
        uint32_t entry_size
        uint32_t slot_size
        uint32_t pair_size
        uint32_t node_size
        uint32_t mapping_size
        uint32_t space_size
        uint32_t xanode_size
        uint32_t table_size
        uint32_t batch
        uint32_t chunk
        uint32_t pieces
        uint32_t saved
        uint32_t saved_node
        uint32_t call_slots
        uint32_t huge
        uint64_t compat
        uint64_t ro_compat
        uint64_t incompat
        uint64_t total
        uint64_t page_size
        uint64_t nframes
        uint32_t page_shift
        uint32_t nnodes
        uint32_t nslots
        uint32_t nmappings
        uint32_t nspaces
        uint32_t nxanodes
        uint32_t ntables
        uint32_t pid
        uint64_t off_nodes
        uint64_t off_slots
        uint64_t off_pins
        uint64_t off_pieces
        uint64_t off_mappings
        uint64_t off_spaces
        uint64_t off_entries
        uint64_t off_xanodes
        uint64_t off_tables
        uint64_t off_frames
        uint64_t off_text
        uint32_t text_size
        uint32_t structure
        uint8_t[16] uuid
        uint8_t[16] boot_id
        pgx_pool xanodes
        pgx_pool tables
        pgx_layout layout
        uint64_t ready

    ctypedef struct pgx_region:
        uint8_t *base
        uint64_t total
        uint64_t page_size
        uint64_t nframes
        uint32_t page_shift
        uint32_t nnodes
        uint32_t nslots
        uint32_t nmappings
        uint32_t nspaces
        uint32_t nxanodes
        uint32_t ntables
        uint32_t process
        uint32_t workers
        uint32_t self
        pgx_header *header
        pgx_node *nodes
        uint8_t *slots
        uint32_t *pin_tops
        uint64_t *pins
        uint8_t *pieces
        pgx_mapping *mappings
        pgx_space *spaces
        pgx_entry *entries
        pgx_xanode *xanodes
        pgx_table *tables
        uint8_t *frames
        uint64_t[16] node_start
        uint64_t[16] node_frames
        pgx_layout layout
        uint64_t fail_alloc
        uint64_t in_use

    pgx_slot *pgx_slot_at(const pgx_region *r, uint32_t slot)
    uint8_t *pgx_frame_at(const pgx_region *r, uint64_t pfn)
    uint64_t pgx_piece(const pgx_region *r)
    uint64_t pgx_xa_entry(uint64_t value)
    uint64_t pgx_xa_value(uint64_t entry)
    void pgx_prefetch(const void *p)
    int pgx_node_of(const pgx_region *r, uint64_t pfn)
    uint64_t *pgx_state_word(pgx_entry *e)
    uint64_t pgx_state_of(uint32_t refs, uint32_t owner)
    uint32_t pgx_owner_of(uint64_t word)
    int pgx_change_owner(pgx_entry *e, uint32_t old, uint32_t now)
    uint64_t pgx_pin_pfn(uint64_t pin)
    uint64_t pgx_step_of(uint64_t state)
    uint32_t pgx_holder(uint16_t held)
    int pgx_pinned(const pgx_region *r, uint64_t pfn, uint32_t order)
    int pgx_fail_alloc(pgx_region *r)

cdef extern from "pagexchange/atomic.h" nogil:
    uint64_t pgx_load64(const uint64_t *p)
    uint32_t pgx_load32(const uint32_t *p)
    uint16_t pgx_load16(const uint16_t *p)
    uint8_t pgx_load8(const uint8_t *p)
    uint64_t pgx_load64_in_motion(const uint64_t *p)
    void pgx_store64(uint64_t *p, uint64_t v)
    void pgx_store32(uint32_t *p, uint32_t v)
    void pgx_store8(uint8_t *p, uint8_t v)
    void pgx_relaxed_store64(uint64_t *p, uint64_t v)
    void pgx_relaxed_store32(uint32_t *p, uint32_t v)
    void pgx_relaxed_store16(uint16_t *p, uint16_t v)
    int pgx_cas64(uint64_t *p, uint64_t expected, uint64_t desired)
    int pgx_cas32(uint32_t *p, uint32_t expected, uint32_t desired)
    uint64_t pgx_or64(uint64_t *p, uint64_t v)
    uint64_t pgx_and64(uint64_t *p, uint64_t v)
    uint64_t pgx_add64(uint64_t *p, uint64_t v)
    uint32_t pgx_add32(uint32_t *p, uint32_t v)
    void pgx_fence()
    void pgx_pause()
    void pgx_publish(uint64_t *state, uint64_t value)
