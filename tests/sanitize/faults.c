/* Faults that a sanitizer must report, each by its own name, and look-alikes that it must not. Built with the same
 * flags and loaded in the same way as the product: what goes unreported here would go unreported there. */
#include "../../cython/pagexchange_native/include/pagexchange/atomic.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define LINE 32 /* a copy so short that a compiler left to itself makes moves of it, which no sanitizer sees */

static _Alignas(8) char first[LINE], second[LINE];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void swap(void) {
    char kept[LINE];
    memcpy(kept, first, LINE);
    memcpy(first, second, LINE);
    memcpy(second, kept, LINE);
}

static void *without_lock(void *unused) {
    for (int i = 0; i < 1000; i++)
        swap();
    return unused;
}

static void *with_lock(void *unused) {
    for (int i = 0; i < 1000; i++) {
        pthread_mutex_lock(&lock);
        swap();
        pthread_mutex_unlock(&lock);
    }
    return unused;
}

/* A reader of a page that is swapped meanwhile: by the load that is meant for it, or by another one. */
static void *in_motion(void *unused) {
    volatile uint64_t seen;
    for (int i = 0; i < 1000; i++)
        seen = pgx_load64_in_motion((const uint64_t *)first);
    (void)seen;
    return unused;
}

static void *plainly(void *unused) {
    in_motion(NULL);
    for (int i = 0; i < 1000; i++)
        pgx_load64((const uint64_t *)first);
    return unused;
}

static int in_two_threads(void *(*work)(void *), void *(*beside)(void *)) {
    pthread_t thread[2];
    for (int i = 0; i < 2; i++)
        if (pthread_create(&thread[i], NULL, i ? beside : work, NULL) != 0)
            abort();
    for (int i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    return first[0];
}

int unlocked_swap(int n) { return n + in_two_threads(without_lock, without_lock); }
int locked_swap(int n) { return n + in_two_threads(with_lock, with_lock); }
int read_in_motion(int n) { return n + in_two_threads(without_lock, in_motion); }
int read_plainly(int n) { return n + in_two_threads(without_lock, plainly); }

int heap_overflow(int n) {
    volatile char *bytes = malloc((size_t)n);
    if (!bytes)
        abort();
    bytes[n] = 1;
    free((void *)bytes);
    return n;
}

int use_after_free(int n) {
    char *bytes = malloc((size_t)n);
    volatile char *kept = bytes;
    free(bytes);
    return kept[0];
}

int bad_shift(int n) { return 1 << n; }
int signed_overflow(int n) { return 0x7fffffff + n; }

int misaligned(int n) {
    char bytes[32] = {0};
    return (int)*(volatile long *)(bytes + (n | 1) % 8);
}
