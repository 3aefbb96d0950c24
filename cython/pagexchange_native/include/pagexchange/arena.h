/* The arena's format: every struct that lies in shared memory, and the private view of it.
 *
 * This header is the one place where the format is defined. The arena is position independent: it holds offsets and
 * numbers, never pointers. A process maps it anywhere and reads it through a `pgx_region`: a PRIVATE copy of the
 * geometry, taken once and validated. Bounds are checked against that copy, never against what lies in the mapping.
 */
#ifndef PAGEXCHANGE_ARENA_H
#define PAGEXCHANGE_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include "atomic.h"

#define PGX_MAGIC "PGXARENA"
#define PGX_ENDIAN 0x01020304u
#define PGX_VERSION 2u
#define PGX_ABI 2 /* of the structs and functions that a compiled plug-in bakes in */

#define PGX_MAX_NODES 16
#define PGX_MAX_ORDER 9   /* 2 MiB folios of 4 KiB frames */
#define PGX_BATCH 128     /* pairs that a worker holds locked at once, at most */
#define PGX_CHUNK 256     /* bytes of one undo chunk */
#define PGX_TAIL_WORDS 16 /* tails whose words, of both sides, one undo chunk holds */
#define PGX_PAGE_MIN 1024 /* bytes of the smallest frame */
#define PGX_PIECE 4096    /* bytes that the whole-page log has room for in each of its places; see pgx_piece */
#define PGX_PIECES 16     /* piece pairs that the whole-page log of a slot holds */
#define PGX_PINS 256      /* pages that one process may pin, or have references on, at once */
#define PGX_CALL_SLOTS 16 /* slots behind the workers': one for each process, for as long as it lives, and one for each call */
#define PGX_MAX_SLOTS 63  /* a tree's lock has a bit for each slot, and one for the writer */
#define PGX_SAVED 256     /* words that the undo record of a change of structure holds */
#define PGX_SAVED_NODE 128 /* and that of a change of a node's free lists */

/* ---- a frame's entry, like `struct page`: what travels with the page and what stays with the frame ---------- */

enum pgx_state {
    PGX_OFFLINE = 0,  /* no memory behind it, or taken out of use */
    PGX_FREE = 1,     /* in a free block of the buddy allocator; the block's first frame is on a free list */
    PGX_USED = 2,     /* first (or only) frame of a folio that holds a page */
    PGX_TAIL = 3,     /* later frame of a folio; `head` names the first */
    PGX_RESERVED = 4, /* exists, never handed out, never moved */
};

typedef struct pgx_entry {
    uint64_t flags;    /* frame + page: the layout says bit by bit. Linux's flags word */
    uint32_t refs;     /* page: cache + private + mapcount + held, always; PGX_FROZEN | slot while an exchange has it */
    uint32_t owner;    /* frame: who has it locked; see PGX_OWNER_. One word of 64 bits with `refs`, see pgx_state_word */
    uint64_t mapping;  /* page: 0 none; (id + 1) << 2 a file mapping; (space + 1) << 2 | PGX_ANON anonymous */
    uint64_t index;    /* page: position in its file, or its virtual page number, in base pages */
    uint64_t private_; /* page: what its owner keeps with it; carries a reference when the flag `private` is set */
    uint32_t mapcount; /* page: how often the folio is mapped by page tables */
    uint32_t rmap;     /* page: first page-table entry that maps it, number + 1; 0 none */
    union {
        uint32_t next; /* frame: free list, pfn + 1 */
        uint32_t slot; /* page: where its mapping's tree may have it, see pgx_slot_word; 0 unknown. A hint: check it */
    };
    uint32_t prev;     /* frame: free list, pfn + 1 */
    uint32_t head;     /* frame: of a tail, the folio's first pfn + 1 */
    uint8_t order;     /* frame: the folio's or free block's order */
    uint8_t state;     /* frame: enum pgx_state */
    uint16_t held;     /* page: process + 1 while the reference that allocation gave is still that process's, see PGX_HELD_ */
} pgx_entry;

#define PGX_ANON 1ull
#define PGX_HELD_BY_GET 0x8000u /* with it in `held`: the page lost its last user while the process had it by `get` */
#define PGX_FROZEN 0x80000000u
/* `owner`: 0 nobody; slot + 1 of the worker whose exchange has the page; PGX_OWNER_CALL | slot + 1 of a call that lets it
 * go before it returns. In the second byte the slot + 1 of a process that has locked it for its user, and keeps it. */
#define PGX_OWNER_CALL 0x80000000u
#define PGX_OWNER_SLOT 0xffu
#define PGX_OWNER_KEEPER_SHIFT 8
#define PGX_OWNER_KEEPER 0xff00u

/* ---- XArray ------------------------------------------------------------------------------------------------- */

#define PGX_XA_SHIFT 6
#define PGX_XA_SLOTS 64
#define PGX_XA_MARKS 3

typedef struct pgx_xarray { /* the head of one array; embedded in a mapping and in a space */
    uint64_t head;  /* entry: 0, a single entry at index 0, or a node */
    uint64_t lock;  /* bit s: slot s holds the slots in their places; PGX_XA_WRITER: who has the structure lock changes it */
    uint32_t seq;   /* odd while the tree's shape changes: readers without the lock try again */
    uint32_t flags; /* marks of the head (bit m: some entry has mark m) */
} pgx_xarray;

#define PGX_XA_WRITER (1ull << 63)

typedef struct pgx_xanode {
    uint8_t shift;   /* bits that lie below this node's slots */
    uint8_t offset;  /* slot number in the parent */
    uint8_t count;   /* non-empty slots, siblings included */
    uint8_t used;    /* 1 while the node belongs to a tree */
    uint32_t parent; /* node number + 1; 0 for the top */
    uint64_t array;  /* byte offset in the arena of the pgx_xarray that it belongs to */
    uint32_t next;   /* free list, node number + 1 */
    uint32_t pad0;
    uint64_t marks[PGX_XA_MARKS];
    uint64_t pad1[2];
    uint64_t slot[PGX_XA_SLOTS]; /* at byte 64 */
} pgx_xanode;

/* ---- mappings (files), address spaces, page tables ----------------------------------------------------------- */

enum pgx_aops {
    PGX_AOPS_MIGRATE = 0,   /* moves pages, dirty ones and private data included */
    PGX_AOPS_NONE = 1,      /* no callback: clean pages without private data only */
    PGX_AOPS_UNMOVABLE = 2, /* never */
};

typedef struct pgx_mapping {
    pgx_xarray pages;
    uint32_t used; /* 1; 0 free: stored last when it is made, and when it is given up */
    uint32_t aops;
    uint32_t shmem; /* 1: shared memory, its pages are swap-backed */
    uint32_t generation; /* how often this number was given up: who was made for an earlier one is told so */
    uint64_t nr_pages; /* base pages in the cache */
    uint64_t pad1[2];
    char name[64];
} pgx_mapping; /* 128 bytes */

typedef struct pgx_space {
    pgx_xarray tables; /* virtual page number >> 6 -> page table number */
    uint32_t used;
    uint32_t pad0;
    uint64_t nr_ptes;
    uint64_t nr_anon; /* base pages that are anonymous and carry its number, wherever they are mapped by now */
    uint32_t generation; /* as of a mapping */
    uint32_t pad1;
    uint64_t pad2;
    char name[64];
} pgx_space; /* 128 bytes */

typedef struct pgx_pte {
    uint64_t pte;  /* pfn << 12 | bits */
    uint32_t next; /* reverse map of the same page, number + 1; 0 ends it. Only a folio's first entry is chained */
    uint32_t pad;
} pgx_pte;

#define PGX_PTE_PRESENT 1ull
#define PGX_PTE_MIGRATION 2ull /* instead of PRESENT: whoever touches it waits for the page's lock */
#define PGX_PTE_WRITE 4ull
#define PGX_PTE_ACCESSED 16ull
#define PGX_PTE_BITS 0xfffull

#define PGX_TABLE_SLOTS 64

typedef struct pgx_table {
    uint32_t space; /* space number + 1; 0 while unused */
    uint32_t count; /* non-empty entries */
    uint64_t base;  /* virtual page number of entry 0 */
    uint32_t next;  /* free list, table number + 1 */
    uint32_t pad0;
    uint64_t pad1[5];
    pgx_pte pte[PGX_TABLE_SLOTS]; /* at byte 64; entry number = table * 64 + slot */
} pgx_table; /* 1088 bytes */

typedef struct pgx_pool { /* free list of XArray nodes or of page tables; changed under the structure lock */
    uint32_t pad;
    uint32_t free_head; /* number + 1 */
    uint32_t free;      /* how many are on the list */
    uint32_t fresh;     /* numbers from here on were never used */
} pgx_pool;

/* ---- nodes (tiers) and their allocator ------------------------------------------------------------------------ */

enum pgx_counter { /* per node, in base pages: the sum of all slots' `counter` */
    PGX_NR_FILE = 0,  /* in the cache of a mapping, shared memory included */
    PGX_NR_SHMEM = 1, /* of these, shared memory */
    PGX_NR_ANON = 2,  /* anonymous and mapped */
    PGX_NR_DIRTY = 3, /* file pages with the dirty flag */
    PGX_NR_COUNTERS = 4,
};

typedef struct pgx_node {
    char name[32];
    uint64_t start;  /* first pfn */
    uint64_t frames; /* number of frames */
    uint32_t lock;   /* slot + 1: its free lists, and what lies on them */
    uint32_t number; /* as written in the flags word */
    uint64_t wm_min, wm_low, wm_high; /* watermarks, frames */
    uint64_t free;                    /* free frames */
    uint64_t asked, got;              /* allocations asked for and served, in frames */
    uint64_t below_low, below_min;    /* allocations that found less than the low / min watermark left */
    uint32_t list[PGX_MAX_ORDER + 1]; /* free blocks by order, pfn + 1 */
    uint32_t pad0[2];
    uint64_t pad1[11];
} pgx_node; /* 256 bytes */

/* ---- the flags word's layout ----------------------------------------------------------------------------------- */

typedef struct pgx_layout { /* masks over the flags word; a role that a layout lacks is 0 */
    char name[32];
    uint64_t swap;   /* bits that move with the page */
    uint64_t stay;   /* bits that stay with the frame, upper fields and unused bits included */
    uint64_t refuse; /* bits that must be clear (or waited for); none of them moves */
    uint64_t locked;
    uint64_t writeback; /* what ends in time and may be waited for: on its way to its store, or to a cache of it */
    uint64_t dirty, swapbacked, private_, swapcache, hwpoison, reserved, head, waiters;
    uint64_t tail_broken; /* in a tail's word: memory of the folio is broken */
    uint32_t node_shift, node_width, zone_shift, zone_width;
    uint64_t tail_swap;   /* bits of a tail's word that move with the page */
    uint64_t tail_refuse; /* bits of a tail's word that must be clear; all others stay with the frame */
} pgx_layout;

/* ---- a slot: the crash-safe record ------------------------------------------------------------------------------
 * A process claims one for life, and one for each call; only a worker's has a use for its pairs. `state` is the publish word
 * of an exchange: (step << 8) | phase, step = pair << 40 | chunk step. `saved` and `saved_node` are undo records: of
 * what a call changes under the structure lock or the locks of pages, and of what it changes under a node's lock. As long
 * as their numbers of words are not 0, the change does not count: who finds the slot's owner dead puts the words back,
 * the last one first. See docs/architecture.md.
 */

enum pgx_phase {
    PGX_IDLE = 0,
    PGX_INTENT = 1, /* pages are being locked and frozen: roll back */
    PGX_DATA = 2,   /* the point of no return: redo the open chunk, then go on */
    PGX_META = 3,   /* redo, on each frame that still carries the mark, all that belongs to it; unlock it */
    PGX_HELP = 4,   /* helper of another slot's data step, with a byte range of its own */
    PGX_BACK = 5,   /* a mover failed, or met a memory error: what is below the step is still to be put back */
    PGX_TAILS = 6,  /* after DATA: redo the words of 16 tails from the log, then go on */
};

#define PGX_SPLIT (1ull << 39) /* chunk step of a pair that is in its helpers' hands */

enum pgx_log_kind { /* core log formats: recovery needs no plug-in */
    PGX_LOG_UNDO = 1,  /* chunk: log = A, step 2k+1, A = B, step 2k+2, B = log */
    PGX_LOG_TEMP = 2,  /* the same with the frame `temp` as log and the folio as chunk */
    PGX_LOG_WHOLE = 3, /* both pages saved in the slot's pieces before anything moves */
    PGX_LOG_NONE = 4,  /* nothing moves: the null mover of benchmarks */
};

typedef struct pgx_side {
    uint64_t flags;     /* the word that the policy computed for THIS frame; the core uses its swap bits only */
    uint64_t mapping, index, private_; /* identity of the page that lies in THIS frame before the exchange */
    uint32_t pfn;
    uint32_t rmap, mapcount;
    uint32_t slot;      /* pgx_slot_word: the XArray word that points here, checked; 0 none */
    uint32_t refs;      /* of that page at rest: what it has again wherever it ends up */
    uint16_t held, pad;
} pgx_side; /* 56 bytes */

typedef struct pgx_pair {
    pgx_side side[2];
    int32_t status; /* 0 going on; above 0 left to another mover; -errno dropped out */
    uint32_t temp;  /* frame taken for the pair, a temporary page or a side's own, pfn + 1: stored and cleared under the node's lock and undo record */
    uint8_t order;
    uint8_t kind;   /* enum pgx_log_kind */
    uint8_t pad[6];
} pgx_pair; /* 128 bytes */

enum pgx_saved_kind { /* what a pgx_saved has beside whole words of 1, 2, 4 or 8 bytes */
    PGX_SAVED_SET = 16,     /* the bits of `old` were clear in this 64-bit word, of which others change other bits */
    PGX_SAVED_CLEARED = 17, /* they were set */
    PGX_SAVED_ROW = 20,     /* the words `pte` of the 64 pgx_pte from here on: all 0 if `old` is 0, else the i-th old + (i << 12) */
    /* In the first record of a section of a node's allocator, with pfn << 8 | kind as `where` and the order as `old`:
     * the later frames of a block are many, and follow from it. */
    PGX_SAVED_TAKEN = 18, /* a free block was to become a folio in use: its later frames become FREE again, of order 255
                           * and without `head`; a lock of its first frame that names the slot goes */
    PGX_SAVED_FREED = 19, /* a folio was to be given back. Its first frame USED (again): the later ones become tails of it,
                           * of order 0. Otherwise the free counts, whatever else is saved was put back, and the rest of it
                           * is done, again if need be: each of the frames that is OFFLINE and not broken becomes free, each
                           * loses its page's flags, a lock of the first one that names the slot goes */
};

typedef struct pgx_saved {
    uint64_t where; /* byte offset << 8 | what: 1, 2, 4 or 8 bytes that were there; else enum pgx_saved_kind */
    uint64_t old;
} pgx_saved;

typedef struct pgx_slot {
    uint64_t state;
    uint64_t claim;  /* (generation << 8) | (process + 1); 0 in the low byte: free. Changed by compare and swap only */
    uint32_t n;      /* pairs in `pair` */
    uint32_t parent; /* PGX_HELP: slot + 1 of the worker helped */
    uint64_t lo, hi; /* PGX_HELP: byte range */
    uint64_t tree;   /* byte offset of the pgx_xarray that this slot's change of structure has, or may have, as writer */
    uint64_t give;   /* pfn + 1 of a page without a user that this slot is about to free, and has locked; 0 none */
    uint64_t drop;   /* node number + 1: first of the sub-trees, linked by `next`, that `tree` has no more and that go back to
                      * the pool; the `array` of each is 0. Changed under the undo record, with `tree` set; 0 none */
    uint8_t log[2][PGX_CHUNK]; /* at byte 64 */
    int64_t counter[PGX_MAX_NODES][PGX_NR_COUNTERS]; /* what this slot's owners have added; only its owner writes here */
    int64_t target[PGX_MAX_NODES][PGX_NR_COUNTERS];  /* PGX_META: what `counter` is to be afterwards, */
    uint64_t targets;                                /* of the nodes whose bit is set */
    uint64_t saves, node_saves;                      /* how many words are saved: the publish words of the undo records */
    uint64_t pad1[5];
    pgx_saved saved[PGX_SAVED];
    pgx_saved saved_node[PGX_SAVED_NODE];
    pgx_pair pair[PGX_BATCH];
} pgx_slot;

/* ---- header ------------------------------------------------------------------------------------------------------ */

typedef struct pgx_header { /* one 4096-byte page at offset 0 */
    char magic[8];
    uint32_t endian, version;
    uint32_t header_size, entry_size, slot_size, pair_size;
    uint32_t node_size, mapping_size, space_size, xanode_size, table_size;
    uint32_t batch, chunk, pieces, saved, saved_node, call_slots;
    uint32_t huge; /* pages that were asked for: 0 base pages, 1 transparent huge ones, 2 the hugetlb pool's */
    uint64_t compat, ro_compat, incompat; /* feature words */
    uint64_t total;                       /* bytes of the region */
    uint64_t page_size;
    uint64_t nframes;
    uint32_t page_shift, nnodes, nslots, nmappings, nspaces, nxanodes, ntables;
    uint32_t pid; /* of the process that made it, for messages */
    uint64_t off_nodes, off_slots, off_pins, off_pieces, off_mappings, off_spaces, off_entries, off_xanodes, off_tables,
        off_frames; /* byte offsets from the start of the region */
    uint64_t off_text;  /* the layout as TOML: a process that attaches makes its names from that */
    uint32_t text_size; /* bytes */
    uint32_t structure; /* slot + 1: the lock of all trees, pools, page tables, mappings and spaces */
    uint8_t uuid[16], boot_id[16];
    pgx_pool xanodes, tables;
    pgx_layout layout;
    uint64_t ready; /* 1: stored last, when all else is in place */
} pgx_header;

/* ---- the private view of one mapping of the region ----------------------------------------------------------------- */

typedef struct pgx_region {
    uint8_t *base;
    uint64_t total, page_size, nframes;
    uint32_t page_shift, nnodes, nslots, nmappings, nspaces, nxanodes, ntables, process; /* process: OFD lock byte */
    uint32_t workers; /* slots 1 to `workers` exchange; those behind them are the processes' and calls' */
    uint32_t self;    /* the slot that this process has claimed for life */
    pgx_header *header; /* in the mapping: only its pools and the structure lock are used after attaching */
    pgx_node *nodes;
    uint8_t *slots;
    uint32_t *pin_tops; /* of each slot behind the workers': its pins lie below this place; stored before a pin is */
    uint64_t *pins;     /* PGX_PINS of each of these: pfn + 1 | times << 32, bit 63 set for a long pin */
    uint8_t *pieces;
    pgx_mapping *mappings;
    pgx_space *spaces;
    pgx_entry *entries;
    pgx_xanode *xanodes;
    pgx_table *tables;
    uint8_t *frames;
    uint64_t node_start[PGX_MAX_NODES], node_frames[PGX_MAX_NODES];
    pgx_layout layout; /* private copy */
    /* faults for tests: the allocation that fails, counted down; 0 off. Private to the process. */
    uint64_t fail_alloc;
    uint64_t in_use; /* bit s: a call of this process, or the process itself, is at work with slot s */
} pgx_region;

#define PGX_PIN_LONG (1ull << 63)

static inline pgx_slot *pgx_slot_at(const pgx_region *r, uint32_t slot) {
    return (pgx_slot *)(r->slots + (size_t)slot * sizeof(pgx_slot));
}

static inline uint8_t *pgx_frame_at(const pgx_region *r, uint64_t pfn) {
    return r->frames + (pfn << r->page_shift);
}

/* Bytes of one piece of the whole-page log: what a mover in Python gets as a row. A smaller page is one piece, and of its
 * place in the log the rest is not used: so the log lies where it does in every arena. */
static inline uint64_t pgx_piece(const pgx_region *r) { return r->page_size < PGX_PIECE ? r->page_size : PGX_PIECE; }

/* Entry of a page in an XArray: a pointer-kind entry (low bits 00), so that node, sibling and value entries differ. */
static inline uint64_t pgx_xa_entry(uint64_t value) { return (value + 1) << 2; }
static inline uint64_t pgx_xa_value(uint64_t entry) { return (entry >> 2) - 1; }

/* Towards L2, for reading: written out, so that no compiler flag turns it into prefetchw, which holds one of the few miss
 * buffers of L1, and no compiler takes a function that only fetches for one that does nothing. */
__attribute__((always_inline)) static inline void pgx_prefetch(const void *p) {
#if defined(__x86_64__)
    __asm__ volatile("prefetcht1 %0" : : "m"(*(const char *)p));
#else
    __builtin_prefetch(p, 0, 2);
#endif
}

/* `refs` and `owner` as one word: an exchange takes both at once. */
static inline uint64_t *pgx_state_word(pgx_entry *e) { return (uint64_t *)&e->refs; }
static inline uint64_t pgx_state_of(uint32_t refs, uint32_t owner) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return (uint64_t)owner << 32 | refs;
#else
    return (uint64_t)refs << 32 | owner;
#endif
}
static inline uint32_t pgx_owner_of(uint64_t word) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return (uint32_t)(word >> 32);
#else
    return (uint32_t)word;
#endif
}

/* Compare and swap of `owner`, whatever becomes of `refs` meanwhile: 1 when it was `old` and now is `now`. A step of the whole
 * word, as those of an exchange are: between atomic operations on words of different sizes no language promises an order. */
static inline int pgx_change_owner(pgx_entry *e, uint32_t old, uint32_t now) {
    uint64_t *state = pgx_state_word(e);
    for (;;) {
        uint64_t word = pgx_load64(state);
        if (pgx_owner_of(word) != old)
            return 0;
        if (pgx_cas64(state, word, word ^ pgx_state_of(0, old ^ now)))
            return 1;
    }
}

/* Step of a pair's data, out of a slot's `state`; of a whole-page log the step of the batch. */
static inline uint64_t pgx_step_of(uint64_t state) { return state >> 8 & ((1ull << 40) - 1); }

/* Number of the process that holds a page, + 1; 0: none. */
static inline uint32_t pgx_holder(uint16_t held) { return held & ~PGX_HELD_BY_GET & 0xffffu; }

/* A word of a tree as 32 bits: node * 64 + slot + 1, or PGX_SLOT_HEAD for the head of the array itself. */
#define PGX_SLOT_HEAD 0xffffffffu

static inline int pgx_node_of(const pgx_region *r, uint64_t pfn) {
    for (uint32_t i = 0; i < r->nnodes; i++)
        if (pfn - r->node_start[i] < r->node_frames[i])
            return (int)i;
    return -1;
}

static inline uint64_t pgx_pin_pfn(uint64_t pin) { return (uint32_t)pin - 1u; }

/* true when one of the 2^order frames from `pfn` on is pinned, or has a reference beside those that `refs` counts */
static inline int pgx_pinned(const pgx_region *r, uint64_t pfn, uint32_t order) {
    for (uint32_t process = 0; process < PGX_CALL_SLOTS; process++) {
        uint32_t top = pgx_load32(&r->pin_tops[process]);
        for (uint32_t i = 0; i < top && i < PGX_PINS; i++) {
            uint64_t pin = pgx_load64(&r->pins[process * PGX_PINS + i]);
            if (pin && pgx_pin_pfn(pin) - pfn < 1ull << order)
                return 1;
        }
    }
    return 0;
}

/* true when an injected allocation failure is due: counts every allocation of a frame, XArray node or page table */
static inline int pgx_fail_alloc(pgx_region *r) {
    if (__builtin_expect(r->fail_alloc == 0, 1))
        return 0;
    return --r->fail_alloc == 0;
}

_Static_assert(sizeof(pgx_entry) == 64, "entry");
_Static_assert(sizeof(pgx_xanode) == 576, "xanode");
_Static_assert(offsetof(pgx_xanode, slot) == 64, "xanode slots");
_Static_assert(sizeof(pgx_mapping) == 128, "mapping");
_Static_assert(sizeof(pgx_space) == 128, "space");
_Static_assert(sizeof(pgx_table) == 1088, "table");
_Static_assert(sizeof(pgx_node) == 256, "node");
_Static_assert(offsetof(pgx_entry, owner) == offsetof(pgx_entry, refs) + 4, "refs and owner are one word");
_Static_assert(offsetof(pgx_entry, refs) % 8 == 0, "refs and owner are one word");
_Static_assert(sizeof(pgx_xarray) == 24, "xarray");
_Static_assert(sizeof(pgx_side) == 56, "side");
_Static_assert(sizeof(pgx_pair) == 128, "pair");
_Static_assert(offsetof(pgx_slot, log) == 64, "slot log");
_Static_assert(sizeof(pgx_slot) % 64 == 0, "slot");
_Static_assert(PGX_PAGE_MIN % (2 * PGX_CHUNK) == 0, "a page has an even number of chunks: its first one is not in the half that is open");
_Static_assert(PGX_TAIL_WORDS * 2 * sizeof(uint64_t) == PGX_CHUNK, "words of tails in an undo chunk");
_Static_assert(sizeof(pgx_header) <= 4096, "header");

#endif
