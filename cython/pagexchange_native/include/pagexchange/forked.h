/* In a forked child an arena is not mapped (MADV_DONTFORK), and a view that was made before the fork leads nowhere. Whoever
 * uses one is told so before SIGSEGV ends the process, and nothing else is mapped where the view would write to it. */
#ifndef PAGEXCHANGE_FORKED_H
#define PAGEXCHANGE_FORKED_H

#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

#define PGX_FORKED 16 /* arenas with views that are told of; one more has the plain signal */

static struct {
    const uint8_t *lo;
    uint64_t size;
} pgx_gone[PGX_FORKED];
static int pgx_n_gone;
static struct sigaction pgx_segv_before;

static void pgx_on_segv(int number, siginfo_t *info, void *context) {
    static const char said[] = "pagexchange: a view of an arena that was made before fork() was used in the child, where the "
                               "arena is not mapped; make an arena there, or start the child with the 'spawn' method\n";
    const uint8_t *where = (const uint8_t *)info->si_addr;
    (void)context;
    for (int i = 0; i < pgx_n_gone && info->si_code > 0; i++)
        if (where >= pgx_gone[i].lo && (uint64_t)(where - pgx_gone[i].lo) < pgx_gone[i].size) {
            if (write(STDERR_FILENO, said, sizeof said - 1) < 0)
                break;
            break;
        }
    /* It comes again when the handler returns, and goes to whoever had it before; a sent one does not come again. */
    sigaction(SIGSEGV, &pgx_segv_before, NULL);
    if (info->si_code <= 0)
        raise(number);
}

/* Called in the child, for an arena with views. */
static void pgx_forked(const uint8_t *lo, uint64_t size) {
    struct sigaction ours;
    if (pgx_n_gone == PGX_FORKED)
        return;
    /* A kernel without NOREPLACE takes the address as a wish: another place is no use. */
    void *got = mmap((void *)lo, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (got != MAP_FAILED && got != (const void *)lo)
        munmap(got, size);
    if (pgx_n_gone == 0) {
        memset(&ours, 0, sizeof ours);
        ours.sa_sigaction = pgx_on_segv;
        ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
        sigemptyset(&ours.sa_mask);
        if (sigaction(SIGSEGV, &ours, &pgx_segv_before) != 0)
            return;
    }
    pgx_gone[pgx_n_gone].lo = lo;
    pgx_gone[pgx_n_gone].size = size;
    pgx_n_gone++;
}

#endif
