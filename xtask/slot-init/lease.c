// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The lease: resets the board unless the host renews it. It catches what a watchdog cannot: a system in which PID 1 still feeds the dog
 * and nothing else works.
 *
 * All of it is in locked memory and nothing is started when it ends: a disk or a file system that hangs does not stop it. It ends by
 * asking the kernel what it waits for and which locks are held, then by a crash, so that pstore has it all and `panic=` resets, and where
 * even that does nothing by a plain reset.
 */
#define _GNU_SOURCE
#include "slot_init.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

/* When the lease ends, in seconds since the kernel's start (CLOCK_BOOTTIME), as decimal digits. On tmpfs: reading it needs no disk. */
#define DEADLINE "/run/lockstep/lease"
/* `panic=10` and some: by then a crash has reset the board, or does not. */
#define CRASH_SECONDS 20

static long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_BOOTTIME, &time);
	return time.tv_sec;
}

static void rest(long seconds)
{
	struct timespec time = { .tv_sec = seconds };

	while (nanosleep(&time, &time) != 0 && errno == EINTR)
		;
}

/* The end that the host wrote last; `known` where it wrote none, or half of one. */
static long deadline(long known)
{
	char text[32];
	int file = open(DEADLINE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (file < 0)
		return known;
	ssize_t length = read(file, text, sizeof(text) - 1);
	close(file);
	if (length < 2 || text[length - 1] != '\n')
		return known;
	text[length] = '\0';
	char *end;
	long written = strtol(text, &end, 10);
	return *end == '\n' && written > 0 ? written : known;
}

/* Errors are of no use: there is nobody left to tell. */
static void sysrq(int trigger, char key)
{
	ssize_t written = write(trigger, &key, 1);
	(void)written;
}

int hold_lease(long seconds)
{
	long end = seconds;

	/* What `ps` and /proc/PID/comm show: its program was started as /proc/self/exe. */
	prctl(PR_SET_NAME, LEASE_NAME + 1);
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_IGN);
	int trigger = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);
	if (trigger < 0) {
		say("opening /proc/sysrq-trigger: %s; there is no lease", strerror(errno));
		return 1;
	}
	/* Ahead of anything that spins in user space. */
	struct sched_param priority = { .sched_priority = 50 };
	if (sched_setscheduler(0, SCHED_FIFO, &priority) != 0)
		say("the lease has no real-time priority: %s", strerror(errno));
	if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
		say("the lease is not in locked memory: %s", strerror(errno));
	say("lease: this boot ends %ld s after its start unless the host renews it", seconds);
	while (now() < end) {
		rest(1);
		end = deadline(end);
	}
	say("the lease ran out at %ld s: blocked tasks, locks and CPUs follow, then a crash on purpose", now());
	for (const char *key = "wdlm"; *key != '\0'; key++) {
		sysrq(trigger, *key);
		rest(1);
	}
	sysrq(trigger, 'c');
	rest(CRASH_SECONDS);
	sysrq(trigger, 'b');
	return 0;
}

void start_lease(long seconds)
{
	char text[24];

	snprintf(text, sizeof(text), "%ld", seconds);
	pid_t child = fork();
	if (child < 0) {
		say("starting the lease: %s; there is none", strerror(errno));
		return;
	}
	if (child > 0)
		return;
	setsid();
	char *arguments[] = { LEASE_NAME, text, NULL };
	execv("/proc/self/exe", arguments);
	say("starting the lease: %s; there is none", strerror(errno));
	_exit(1);
}
