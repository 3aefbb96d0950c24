/* Atomic words in shared memory. Acquire and release are on the words themselves; fences only in the publish. */
#ifndef PAGEXCHANGE_ATOMIC_H
#define PAGEXCHANGE_ATOMIC_H

#include <stdint.h>

static inline uint64_t pgx_load64(const uint64_t *p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
static inline uint32_t pgx_load32(const uint32_t *p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
static inline uint16_t pgx_load16(const uint16_t *p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
static inline uint8_t pgx_load8(const uint8_t *p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
static inline void pgx_store64(uint64_t *p, uint64_t v) { __atomic_store_n(p, v, __ATOMIC_RELEASE); }
static inline void pgx_store32(uint32_t *p, uint32_t v) { __atomic_store_n(p, v, __ATOMIC_RELEASE); }
static inline void pgx_store8(uint8_t *p, uint8_t v) { __atomic_store_n(p, v, __ATOMIC_RELEASE); }

/* A word of a page that a mover may be storing to, in whole vectors and not atomically. What was loaded counts only if the
 * page is found at the same place after it; so this load, and no other, is left out by the thread sanitizer. */
__attribute__((no_sanitize("thread"))) static inline uint64_t pgx_load64_in_motion(const uint64_t *p) {
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

/* No order: for words that whoever looks without the lock compares with a second look, and that a later store releases. */
static inline void pgx_relaxed_store64(uint64_t *p, uint64_t v) { __atomic_store_n(p, v, __ATOMIC_RELAXED); }
static inline void pgx_relaxed_store32(uint32_t *p, uint32_t v) { __atomic_store_n(p, v, __ATOMIC_RELAXED); }
static inline void pgx_relaxed_store16(uint16_t *p, uint16_t v) { __atomic_store_n(p, v, __ATOMIC_RELAXED); }

/* Compare and swap: 1 when `*p` was `expected` and now is `desired`. */
static inline int pgx_cas64(uint64_t *p, uint64_t expected, uint64_t desired) {
    return __atomic_compare_exchange_n(p, &expected, desired, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}
static inline int pgx_cas32(uint32_t *p, uint32_t expected, uint32_t desired) {
    return __atomic_compare_exchange_n(p, &expected, desired, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

static inline uint64_t pgx_or64(uint64_t *p, uint64_t v) { return __atomic_fetch_or(p, v, __ATOMIC_ACQ_REL); }
static inline uint64_t pgx_and64(uint64_t *p, uint64_t v) { return __atomic_fetch_and(p, v, __ATOMIC_ACQ_REL); }
static inline uint64_t pgx_add64(uint64_t *p, uint64_t v) { return __atomic_fetch_add(p, v, __ATOMIC_ACQ_REL); }
static inline uint32_t pgx_add32(uint32_t *p, uint32_t v) { return __atomic_fetch_add(p, v, __ATOMIC_ACQ_REL); }
static inline void pgx_fence(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

static inline void pgx_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* One publish of a slot's state word. Earlier stores are visible before it and later ones after it: on x86 the release
 * store and the compiler barrier cost no instruction; elsewhere the fence after it is needed. */
static inline void pgx_publish(uint64_t *state, uint64_t value) {
    __atomic_store_n(state, value, __ATOMIC_RELEASE);
#if defined(__x86_64__)
    __asm__ volatile("" ::: "memory");
#else
    __atomic_thread_fence(__ATOMIC_RELEASE);
#endif
}

#endif
