/* The loops that move bytes, one set per instruction set, chosen by name at run time.
 *
 * No file of this project is compiled for more than the architecture's baseline: what needs more says so per function,
 * so that one wheel runs everywhere. */
#include "pagexchange/moves.h"

#include <errno.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define UNROLL _Pragma("GCC unroll 32")
#define LINE 64
#define PER_CHUNK(W) (PGX_CHUNK / (W))

/* ---- fetching what comes next ---------------------------------------------------------------------------------- */

/* Byte of this folio from which on the other pair is fetched, as many bytes as this one has left; `bytes`: never. */
static inline uint64_t fetching_from(const pgx_ahead *ahead, uint64_t bytes) {
    if (ahead == NULL || ahead->a == NULL)
        return bytes;
    return bytes > PGX_FETCHED ? bytes - PGX_FETCHED : 0;
}

/* One chunk of the other pair towards L2: L1 is small, and busy with the pair at hand. A hint to read, prefetcht1 here,
 * also where the CPU has one to write, which is slower. Always inlined: gcc takes a function of hints for one without any
 * effect, and leaves out its calls. */
__attribute__((always_inline)) static inline void fetch_chunk(const pgx_ahead *ahead, uint64_t offset) {
    UNROLL
    for (int i = 0; i < PGX_CHUNK; i += LINE) {
        __builtin_prefetch(ahead->a + offset + i, 0, 2);
        __builtin_prefetch(ahead->b + offset + i, 0, 2);
    }
}

/* The same of the first side alone: where a copy goes to is not read. */
__attribute__((always_inline)) static inline void fetch_source(const pgx_ahead *ahead, uint64_t offset) {
    UNROLL
    for (int i = 0; i < PGX_CHUNK; i += LINE)
        __builtin_prefetch(ahead->a + offset + i, 0, 2);
}

/* ---- finishing the chunk that was open at a death ---------------------------------------------------------------- */

/* Returns the first chunk that nothing was done for. Not inlined: it is rare, and the scalar loop stays scalar. */
__attribute__((noinline)) static uint64_t redo_open(uint8_t *a, uint8_t *b, uint64_t step, const pgx_log *log, uint32_t pair) {
    uint64_t k = (step - 1) >> 1, at = k * PGX_CHUNK;
    const uint8_t *saved = log->chunk + (k & 1) * PGX_CHUNK;
    if (step & 1) {
        memcpy(a + at, b + at, PGX_CHUNK);
        pgx_log_step(log, pair, 2 * k + 2);
    }
    memcpy(b + at, saved, PGX_CHUNK);
    return k + 1;
}

/* ---- the loops of an exchange, for a register type V of W bytes -------------------------------------------------------------- */

/* BOTH: a chunk of A and one of B fit into registers, and all loads come before the first store. Else B's chunk is loaded
 * when A's is overwritten, and A's comes back from the log, which lies in L1. */
#define LOOPS(NAME, TARGET, V, W, BOTH, LOAD, STORE, FOLD, LOW)                                                        \
    TARGET static void NAME##_undo(uint8_t *a, uint8_t *b, uint64_t bytes, uint64_t step, const pgx_log *log,          \
                                   uint32_t pair, const pgx_ahead *ahead) {                                            \
        const pgx_log to = *log; /* a copy: for all that the compiler knows, the stores below go to *log */            \
        const uint64_t from = fetching_from(ahead, bytes);                                                             \
        uint64_t k = step ? redo_open(a, b, step, log, pair) : 0;                                                      \
        for (uint64_t at = k * PGX_CHUNK; at < bytes; at += PGX_CHUNK, k++) {                                          \
            uint8_t *pa = a + at, *pb = b + at, *saved = to.chunk + (k & 1) * PGX_CHUNK;                               \
            V of_a[PER_CHUNK(W)], of_b[PER_CHUNK(W)];                                                                  \
            if (at >= from)                                                                                            \
                fetch_chunk(ahead, at - from);                                                                         \
            UNROLL                                                                                                     \
            for (int i = 0; i < PER_CHUNK(W); i++)                                                                     \
                of_a[i] = LOAD(pa + i * W);                                                                            \
            UNROLL                                                                                                     \
            for (int i = 0; BOTH && i < PER_CHUNK(W); i++)                                                             \
                of_b[i] = LOAD(pb + i * W);                                                                            \
            UNROLL                                                                                                     \
            for (int i = 0; i < PER_CHUNK(W); i++)                                                                     \
                STORE(saved + i * W, of_a[i]);                                                                         \
            pgx_log_step(&to, pair, 2 * k + 1);                                                                        \
            UNROLL                                                                                                     \
            for (int i = 0; i < PER_CHUNK(W); i++)                                                                     \
                STORE(pa + i * W, BOTH ? of_b[i] : LOAD(pb + i * W));                                                  \
            pgx_log_step(&to, pair, 2 * k + 2);                                                                        \
            UNROLL                                                                                                     \
            for (int i = 0; i < PER_CHUNK(W); i++)                                                                     \
                STORE(pb + i * W, BOTH ? of_a[i] : LOAD(saved + i * W));                                               \
        }                                                                                                              \
    }                                                                                                                  \
    TARGET static void NAME##_bare(uint8_t *a, uint8_t *b, uint64_t bytes, const pgx_ahead *ahead) {                   \
        const uint64_t from = fetching_from(ahead, bytes);                                                             \
        for (uint64_t at = 0; at < bytes; at += PGX_CHUNK) {                                                           \
            uint8_t *pa = a + at, *pb = b + at;                                                                        \
            if (at >= from)                                                                                            \
                fetch_chunk(ahead, at - from);                                                                         \
            UNROLL                                                                                                     \
            for (int i = 0; i < PER_CHUNK(W); i++) {                                                                   \
                V x = LOAD(pa + i * W), y = LOAD(pb + i * W);                                                          \
                STORE(pa + i * W, y);                                                                                  \
                STORE(pb + i * W, x);                                                                                  \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    TARGET static uint64_t NAME##_read(const uint8_t *a, const uint8_t *b, uint64_t bytes, const pgx_ahead *ahead) {   \
        V sum = LOAD(a);                                                                                               \
        const uint64_t from = fetching_from(ahead, bytes);                                                             \
        for (uint64_t at = 0; at < bytes; at += PGX_CHUNK) {                                                           \
            const uint8_t *pa = a + at, *pb = b + at;                                                                  \
            if (at >= from)                                                                                            \
                fetch_chunk(ahead, at - from);                                                                         \
            UNROLL                                                                                                     \
            for (int i = 0; i < PER_CHUNK(W); i++)                                                                     \
                sum = FOLD(sum, FOLD(LOAD(pa + i * W), LOAD(pb + i * W)));                                             \
        }                                                                                                              \
        return LOW(sum);                                                                                               \
    }                                                                                                                  \
    TARGET static void NAME##_two(uint8_t *const a[2], uint8_t *const b[2], uint64_t bytes, const pgx_ahead ahead[2]) {\
        const uint64_t from[2] = {fetching_from(ahead, bytes), fetching_from(ahead ? ahead + 1 : NULL, bytes)};        \
        for (uint64_t at = 0; at < bytes; at += PGX_CHUNK)                                                             \
            for (int p = 0; p < 2; p++) {                                                                              \
                if (at >= from[p])                                                                                     \
                    fetch_chunk(ahead + p, at - from[p]);                                                              \
                UNROLL                                                                                                 \
                for (int i = 0; i < PER_CHUNK(W); i++) {                                                               \
                    V x = LOAD(a[p] + at + i * W), y = LOAD(b[p] + at + i * W);                                        \
                    STORE(a[p] + at + i * W, y);                                                                       \
                    STORE(b[p] + at + i * W, x);                                                                       \
                }                                                                                                      \
            }                                                                                                          \
    }

/* ---- copying one way -------------------------------------------------------------------------------------------------- */

/* NAME##_copy and NAME##_stream are one loop with another STORE; END makes what was stored visible before what follows. */
#define COPY(FUNCTION, TARGET, V, W, LOAD, STORE, END)                                                                 \
    TARGET static void FUNCTION(const uint8_t *a, uint8_t *b, uint64_t bytes, const pgx_ahead *ahead) {                \
        const uint64_t from = fetching_from(ahead, bytes);                                                             \
        for (uint64_t at = 0; at < bytes; at += PGX_CHUNK) {                                                           \
            if (at >= from)                                                                                            \
                fetch_source(ahead, at - from);                                                                        \
            V part[PER_CHUNK(W)];                                                                                      \
            UNROLL                                                                                                     \
            for (int i = 0; i < PER_CHUNK(W); i++)                                                                     \
                part[i] = LOAD(a + at + i * W);                                                                        \
            UNROLL                                                                                                     \
            for (int i = 0; i < PER_CHUNK(W); i++)                                                                     \
                STORE(b + at + i * W, part[i]);                                                                        \
        }                                                                                                              \
        END;                                                                                                           \
    }
#define NOTHING ((void)0)

/* ---- scalar: 8 bytes at a time ------------------------------------------------------------------------------------------ */

#define XOR(x, y) ((x) ^ (y))
#define SAME(x) (x)

LOOPS(scalar, , uint64_t, 8, 0, pgx_load_word, pgx_store_word, XOR, SAME)
COPY(scalar_copy, , uint64_t, 8, pgx_load_word, pgx_store_word, NOTHING)
static int always(void) { return 1; }

/* ---- x86-64 ---------------------------------------------------------------------------------------------------------- */

#if defined(__x86_64__)
#define TARGET_AVX2 __attribute__((target("avx2")))
#define TARGET_AVX512 __attribute__((target("avx512f")))
#define LOAD128(p) _mm_loadu_si128((const __m128i *)(p))
#define STORE128(p, x) _mm_storeu_si128((__m128i *)(p), (x))
#define LOW128(x) ((uint64_t)_mm_cvtsi128_si64(x))
#define LOAD256(p) _mm256_loadu_si256((const __m256i *)(p))
#define STORE256(p, x) _mm256_storeu_si256((__m256i *)(p), (x))
#define LOW256(x) LOW128(_mm256_castsi256_si128(x))
#define LOAD512(p) _mm512_loadu_si512((const void *)(p))
#define STORE512(p, x) _mm512_storeu_si512((void *)(p), (x))
#define LOW512(x) LOW128(_mm512_castsi512_si128(x))

LOOPS(sse2, , __m128i, 16, 0, LOAD128, STORE128, _mm_xor_si128, LOW128)
LOOPS(avx2, TARGET_AVX2, __m256i, 32, 1, LOAD256, STORE256, _mm256_xor_si256, LOW256)
LOOPS(avx512, TARGET_AVX512, __m512i, 64, 1, LOAD512, STORE512, _mm512_xor_si512, LOW512)

COPY(sse2_copy, , __m128i, 16, LOAD128, STORE128, NOTHING)
COPY(avx2_copy, TARGET_AVX2, __m256i, 32, LOAD256, STORE256, NOTHING)
COPY(avx512_copy, TARGET_AVX512, __m512i, 64, LOAD512, STORE512, NOTHING)
#define STREAM128(p, x) _mm_stream_si128((__m128i *)(p), (x))
#define STREAM256(p, x) _mm256_stream_si256((__m256i *)(p), (x))
#define STREAM512(p, x) _mm512_stream_si512((void *)(p), (x))
COPY(sse2_stream, , __m128i, 16, LOAD128, STREAM128, _mm_sfence())
COPY(avx2_stream, TARGET_AVX2, __m256i, 32, LOAD256, STREAM256, _mm_sfence())
COPY(avx512_stream, TARGET_AVX512, __m512i, 64, LOAD512, STREAM512, _mm_sfence())

static int has_avx2(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") != 0;
}
static int has_avx512(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") != 0;
}
#endif

/* ---- AArch64 ---------------------------------------------------------------------------------------------------------- */

#if defined(__aarch64__)
#define LOW_NEON(x) vgetq_lane_u64(vreinterpretq_u64_u8(x), 0)
LOOPS(neon, , uint8x16_t, 16, 1, vld1q_u8, vst1q_u8, veorq_u8, LOW_NEON)
COPY(neon_copy, , uint8x16_t, 16, vld1q_u8, vst1q_u8, NOTHING)
#endif

const pgx_isa pgx_isas[] = {
#if defined(__x86_64__)
    {"avx512", 64, has_avx512, avx512_undo, avx512_bare, avx512_read, avx512_two, avx512_copy,
     avx512_stream},
    {"avx2", 32, has_avx2, avx2_undo, avx2_bare, avx2_read, avx2_two, avx2_copy,
     avx2_stream},
    {"sse2", 16, always, sse2_undo, sse2_bare, sse2_read, sse2_two, sse2_copy,
     sse2_stream},
#elif defined(__aarch64__)
    {"neon", 16, always, neon_undo, neon_bare, neon_read, neon_two, neon_copy, NULL},
#endif
    {"scalar", 8, always, scalar_undo, scalar_bare, scalar_read, scalar_two, scalar_copy, NULL},
    {NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

const pgx_isa *pgx_isa_find(const char *name, int *known) {
    int any = strcmp(name, "auto") == 0;
    *known = any;
    for (const pgx_isa *isa = pgx_isas; isa->name; isa++)
        if (any || strcmp(name, isa->name) == 0) {
            *known = 1;
            if (isa->supported())
                return isa;
        }
    return NULL;
}

/* ---- recovery --------------------------------------------------------------------------------------------------------- */

int pgx_move_resume(const pgx_isa *isa, uint32_t kind, const pgx_move *move, const pgx_log *log, uint64_t step) {
    if (kind == PGX_LOG_TEMP) {
        if (step > 2 || move->temp == NULL)
            return -EUCLEAN;
        pgx_temp_exchange(move->a, move->b, move->temp, move->bytes, step, log, move->pair);
        return 0;
    }
    if (kind != PGX_LOG_UNDO)
        return -EINVAL;
    if (step > move->bytes / PGX_CHUNK * 2 || move->bytes % PGX_SHARE)
        return -EUCLEAN;
    isa->undo(move->a, move->b, move->bytes, step, log, move->pair, NULL);
    return 0;
}
