/* SIGBUS in a frame: its memory is broken (BUS_MCEERR_AR), or the file under it was cut short. Linux copies a page with a
 * copy that survives this (`folio_mc_copy`); in user space the signal is all there is. */
#include "pagexchange/guard.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>

#define LINE 64

typedef struct guard {
    sigjmp_buf back;
    const uint8_t *lo;
    uint64_t size;
    const uint8_t *volatile where;
    struct guard *outer;
} guard;

/* initial-exec: the signal handler reads it without allocating anything. */
static _Thread_local guard *current __attribute__((tls_model("initial-exec")));
static struct sigaction before;

/* Not one of our frames: whoever had the signal before gets it; without such a one the process ends as it always did. */
static void pass_on(int number, siginfo_t *info, void *context) {
    if (before.sa_flags & SA_SIGINFO) {
        before.sa_sigaction(number, info, context);
    } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
        before.sa_handler(number);
    } else {
        signal(number, SIG_DFL);
        if (info->si_code <= 0) /* sent by a process: it does not come again when the handler returns */
            raise(number);
    }
}

static void on_bus(int number, siginfo_t *info, void *context) {
    guard *g = current;
    const uint8_t *where = info->si_addr;
    if (g && info->si_code > 0 && where >= g->lo && (uint64_t)(where - g->lo) < g->size) {
        const ucontext_t *broken = context;
        g->where = where;
        /* The kernel has blocked nothing more, see NODEFER; but who stands before us, as the thread sanitizer does, may
         * have all blocked: left so, the next SIGBUS of this thread ends the process. */
        pthread_sigmask(SIG_SETMASK, &broken->uc_sigmask, NULL);
        siglongjmp(g->back, 1);
    }
    pass_on(number, info, context);
}

int pgx_guard_install(void) {
    struct sigaction now, ours;
    if (sigaction(SIGBUS, NULL, &now) != 0)
        return -errno;
    if (now.sa_flags & SA_SIGINFO && now.sa_sigaction == on_bus)
        return 0;
    memset(&ours, 0, sizeof ours);
    ours.sa_sigaction = on_bus;
    /* NODEFER: the jump leaves the handler, and the mask need not be put back. ONSTACK: as fault handlers have it. */
    ours.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
    sigemptyset(&ours.sa_mask);
    before = now;
    return sigaction(SIGBUS, &ours, NULL) == 0 ? 0 : -errno;
}

const uint8_t *pgx_guarded(pgx_body_fn body, void *arg, const uint8_t *lo, uint64_t size) {
    guard g;
    g.lo = lo;
    g.size = size;
    g.where = NULL;
    g.outer = current;
    if (sigsetjmp(g.back, 0) == 0) {
        current = &g;
        body(arg);
    }
    current = g.outer;
    return g.where;
}

typedef struct piece {
    uint8_t *to;
    const uint8_t *from;
    uint64_t bytes;
} piece;

static void copy(void *arg) {
    const piece *p = arg;
    memcpy(p->to, p->from, p->bytes);
}

static void read_lines(void *arg) {
    const piece *p = arg;
    for (uint64_t at = 0; at < p->bytes; at += LINE)
        (void)*(const volatile uint8_t *)(p->from + at);
}

const uint8_t *pgx_guarded_copy(uint8_t *to, const uint8_t *from, uint64_t bytes, const uint8_t *lo, uint64_t size) {
    piece p = {to, from, bytes};
    return pgx_guarded(copy, &p, lo, size);
}

const uint8_t *pgx_guarded_read(const uint8_t *from, uint64_t bytes, const uint8_t *lo, uint64_t size) {
    piece p = {NULL, from, bytes};
    const uint8_t *where = pgx_guarded(read_lines, &p, lo, size);
    return where && where < from ? from : where; /* in ascending order: of a page that begins before it, the first byte */
}
