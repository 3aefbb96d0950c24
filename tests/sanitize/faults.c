/* Faults that a sanitizer must report, each by its own name, and one look-alike that it must not. Built with the same
 * flags and loaded in the same way as the product: what goes unreported here would go unreported there. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define LINE 32 /* a copy so short that a compiler left to itself makes moves of it, which no sanitizer sees */

static char first[LINE], second[LINE];
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

static int in_two_threads(void *(*work)(void *)) {
    pthread_t thread[2];
    for (int i = 0; i < 2; i++)
        if (pthread_create(&thread[i], NULL, work, NULL) != 0)
            abort();
    for (int i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    return first[0];
}

int unlocked_swap(int n) { return n + in_two_threads(without_lock); }
int locked_swap(int n) { return n + in_two_threads(with_lock); }

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
