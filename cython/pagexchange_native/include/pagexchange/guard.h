/* A memory error (SIGBUS) in a frame ends the move that met it, and not the process. */
#ifndef PAGEXCHANGE_GUARD_H
#define PAGEXCHANGE_GUARD_H

#include <stdint.h>

typedef void (*pgx_body_fn)(void *arg);

/* Takes SIGBUS over, unless that is done; what was there before still gets every SIGBUS that is not ours. Call it with
 * the GIL held. 0, or -errno. */
int pgx_guard_install(void);

/* Each of these returns NULL when it came to its end, else the address in [lo, lo + size) that could not be accessed: the
 * byte, or the start of the machine's page that it lies in. The first to meet a memory error is told the page (Linux 6.18,
 * kill_proc), whoever touches it later the byte (do_sigbus). What pgx_guarded_read returns lies in what it reads.
 * A body that is cut off does not come back: it may hold no lock and own no memory while it touches these bytes. */
const uint8_t *pgx_guarded(pgx_body_fn body, void *arg, const uint8_t *lo, uint64_t size);
const uint8_t *pgx_guarded_copy(uint8_t *to, const uint8_t *from, uint64_t bytes, const uint8_t *lo, uint64_t size);
const uint8_t *pgx_guarded_read(const uint8_t *from, uint64_t bytes, const uint8_t *lo, uint64_t size);

#endif
