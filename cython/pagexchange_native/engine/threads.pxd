"""Equal jobs on threads of their own, started and joined by the caller, which works on one of them."""

from libc.stdint cimport uint8_t, uint32_t

cdef extern from "<pthread.h>" nogil:
    ctypedef unsigned long pthread_t
    int pthread_create(pthread_t *thread, void *attr, void *(*start)(void *) noexcept nogil, void *arg)
    int pthread_join(pthread_t thread, void **value)

cdef enum:
    MOST_THREADS = 64

ctypedef void *(*job_fn)(void *job) noexcept nogil


cdef inline void run_jobs(job_fn run, void *jobs, size_t size, uint32_t n) noexcept nogil:
    """Runs `run` on each of n jobs (at most MOST_THREADS) of `size` bytes; all are done when it returns.

    The first job is the caller's, and so are those for which the system has no thread.
    """
    cdef pthread_t[MOST_THREADS] thread
    cdef bint[MOST_THREADS] started
    cdef uint8_t *job = <uint8_t *>jobs
    cdef uint32_t k
    for k in range(1, n):
        started[k] = pthread_create(&thread[k], NULL, run, job + k * size) == 0
    run(job)
    for k in range(1, n):
        if started[k]:
            pthread_join(thread[k], NULL)
        else:
            run(job + k * size)
