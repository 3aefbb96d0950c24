/*
 * A made-up store with a hot set that moves, for a recording of accesses: moving_hot_set SECONDS.
 *
 * Two processes share 384 MiB. Of 100 accesses 80 go to a window of 48 MiB, which moves on by 8 MiB every 2 s, 15 to a
 * quarter that stays warm, and 5 anywhere.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
#define SIZE (384 * MIB)
#define HOT (48 * MIB)

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 60, began = now();
	volatile unsigned char *store =
		mmap(0, SIZE, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_SHARED, -1, 0);
	uint64_t x, sum = 0;

	if (store == MAP_FAILED)
		return 1;
	for (size_t at = 0; at < SIZE; at += 4096)
		store[at] = at >> 12;
	fork();
	x = getpid() * 0x9E3779B97F4A7C15UL;
	while (now() - began < seconds) {
		size_t from = (size_t)((now() - began) / 2) * 8 * MIB % (SIZE - HOT);

		for (int k = 0; k < 2000; k++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			unsigned int kind = x % 100;
			size_t at = x >> 20;

			at = kind < 80 ? from + at % HOT :
			     kind < 95 ? SIZE / 2 + at % (SIZE / 4) : at % SIZE;
			if (x & (1 << 30))
				store[at]++;
			else
				sum += store[at];
		}
		usleep(200);
	}
	return sum == 1;
}
