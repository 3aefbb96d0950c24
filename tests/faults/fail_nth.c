/* Loaded before the C library: of the calls that the armed thread makes, the n-th fails with a given errno.
 *
 * Counted are system calls by whoever makes them, and malloc and calloc by modules of pagexchange_native.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <unistd.h>

static __thread long left;
static __thread int error;
static __thread const char *failed;

/* From now on this thread's n-th call fails. */
void fail_nth_arm(long n, int with) {
    failed = NULL;
    error = with;
    left = n;
}

/* The name of what was made to fail, or NULL. */
const char *fail_nth_disarm(void) {
    left = 0;
    return failed;
}

static int due(const char *name) {
    if (left == 0 || --left != 0)
        return 0;
    failed = name;
    errno = error;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define CALL(type, name, parameters, arguments, wrong) \
    type name parameters { \
        if (due(#name)) \
            return wrong; \
        return REAL(name) arguments; \
    }

#define OPEN(name, parameters, arguments) \
    int name parameters { \
        va_list more; \
        va_start(more, flags); \
        mode_t mode = va_arg(more, mode_t); \
        va_end(more); \
        if (due(#name)) \
            return -1; \
        return REAL(name) arguments; \
    }

OPEN(open, (const char *path, int flags, ...), (path, flags, mode))
OPEN(open64, (const char *path, int flags, ...), (path, flags, mode))
OPEN(openat, (int at, const char *path, int flags, ...), (at, path, flags, mode))
OPEN(openat64, (int at, const char *path, int flags, ...), (at, path, flags, mode))

#define FCNTL(name) \
    int name(int fd, int what, ...) { \
        va_list more; \
        va_start(more, what); \
        void *value = va_arg(more, void *); \
        va_end(more); \
        if (due(#name)) \
            return -1; \
        return REAL(name)(fd, what, value); \
    }

FCNTL(fcntl)
FCNTL(fcntl64)

CALL(int, memfd_create, (const char *name, unsigned flags), (name, flags), -1)
CALL(int, ftruncate, (int fd, off_t size), (fd, size), -1)
CALL(int, ftruncate64, (int fd, off64_t size), (fd, size), -1)
CALL(int, posix_fallocate, (int fd, off_t at, off_t size), (fd, at, size), error)
CALL(int, posix_fallocate64, (int fd, off64_t at, off64_t size), (fd, at, size), error)
CALL(int, fallocate, (int fd, int mode, off_t at, off_t size), (fd, mode, at, size), -1)
CALL(int, fallocate64, (int fd, int mode, off64_t at, off64_t size), (fd, mode, at, size), -1)
CALL(int, fstat, (int fd, struct stat *to), (fd, to), -1)
CALL(int, fstat64, (int fd, struct stat64 *to), (fd, to), -1)
CALL(int, lstat, (const char *path, struct stat *to), (path, to), -1)
CALL(int, lstat64, (const char *path, struct stat64 *to), (path, to), -1)
CALL(int, stat, (const char *path, struct stat *to), (path, to), -1)
CALL(int, stat64, (const char *path, struct stat64 *to), (path, to), -1)
CALL(int, fstatvfs64, (int fd, struct statvfs64 *to), (fd, to), -1)
CALL(void *, mmap, (void *at, size_t n, int prot, int flags, int fd, off_t from), (at, n, prot, flags, fd, from), MAP_FAILED)
CALL(void *, mmap64, (void *at, size_t n, int prot, int flags, int fd, off64_t from), (at, n, prot, flags, fd, from),
     MAP_FAILED)
CALL(int, madvise, (void *at, size_t n, int advice), (at, n, advice), -1)
CALL(ssize_t, read, (int fd, void *to, size_t n), (fd, to, n), -1)
CALL(ssize_t, pread, (int fd, void *to, size_t n, off_t at), (fd, to, n, at), -1)
CALL(ssize_t, pread64, (int fd, void *to, size_t n, off64_t at), (fd, to, n, at), -1)
CALL(ssize_t, preadv64, (int fd, const struct iovec *to, int n, off64_t at), (fd, to, n, at), -1)
CALL(ssize_t, write, (int fd, const void *from, size_t n), (fd, from, n), -1)
CALL(int, unlink, (const char *path), (path), -1)
CALL(int, rename, (const char *from, const char *to), (from, to), -1)
CALL(int, link, (const char *from, const char *to), (from, to), -1)
CALL(int, linkat, (int from, const char *name, int to, const char *as, int flags), (from, name, to, as, flags), -1)
CALL(int, chmod, (const char *path, mode_t mode), (path, mode), -1)
CALL(int, fsync, (int fd), (fd), -1)
CALL(ssize_t, getrandom, (void *to, size_t n, unsigned flags), (to, n, flags), -1)
CALL(ssize_t, readlink, (const char *path, char *to, size_t n), (path, to, n), -1)
CALL(DIR *, opendir, (const char *path), (path), NULL)
CALL(struct dirent64 *, readdir64, (DIR *folder), (folder), NULL)
CALL(int, sigaction, (int number, const struct sigaction *new, struct sigaction *old), (number, new, old), -1)
CALL(int, pthread_create, (pthread_t *thread, const pthread_attr_t *how, void *(*start)(void *), void *value),
     (thread, how, start, value), error)

int close(int fd) { /* as Linux does: closed, and then the error */
    int rc = REAL(close)(fd);
    return due("close") ? -1 : rc;
}

static int ours(void *caller) {
    Dl_info from;
    return left != 0 && dladdr(caller, &from) != 0 && strstr(from.dli_fname, "pagexchange_native") != NULL;
}

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);

void *malloc(size_t n) {
    if (ours(__builtin_return_address(0)) && due("malloc"))
        return NULL;
    return __libc_malloc(n);
}

void *calloc(size_t n, size_t size) {
    if (ours(__builtin_return_address(0)) && due("calloc"))
        return NULL;
    return __libc_calloc(n, size);
}
