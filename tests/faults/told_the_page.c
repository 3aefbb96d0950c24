/* Preloaded: the first SIGBUS of each page of 4096 bytes names the page and not the byte, as the kernel's first report of a
 * memory error does (kill_proc in mm/memory-failure.c). Who touches the page later is told the byte. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdint.h>

#define PAGE 4096ul
#define MOST 4096

static struct sigaction theirs;
static uintptr_t told[MOST];
static unsigned known;

static void on_bus(int number, siginfo_t *info, void *context) {
    uintptr_t page = (uintptr_t)info->si_addr & ~(PAGE - 1);
    unsigned k = 0;
    while (k < known && told[k] != page)
        k++;
    if (k == known && known < MOST) {
        told[known++] = page;
        info->si_addr = (void *)page;
    }
    theirs.sa_sigaction(number, info, context);
}

int sigaction(int number, const struct sigaction *now, struct sigaction *before) {
    int (*real)(int, const struct sigaction *, struct sigaction *) =
        (int (*)(int, const struct sigaction *, struct sigaction *))dlsym(RTLD_NEXT, "sigaction");
    struct sigaction ours;
    if (number != SIGBUS)
        return real(number, now, before);
    if (before)
        *before = theirs;
    if (!now)
        return 0;
    theirs = ours = *now;
    if (now->sa_flags & SA_SIGINFO)
        ours.sa_sigaction = on_bus;
    return real(number, &ours, NULL);
}
