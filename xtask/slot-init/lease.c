// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The lease: resets the board unless the host renews it. It catches what a watchdog cannot: a
 * system in which PID 1 still feeds the watchdog and nothing else works.
 *
 * It is three processes, one for each means of ending the boot (ends.c). Each counts by itself: a
 * process that hangs in the kernel while it acts does not stop the next one. Until the lease runs
 * out a process only sleeps and reads a page of memory that it has mapped: no path is looked up, no
 * file is read, nothing is allocated, all of it is locked in memory. A file system, a disk or a
 * network that hangs does not stop it.
 *
 * The page is a memfd, which the host's commands open as /proc/PID/fd/PAGE_FD (`renewal` in
 * board/lease.rs) and write in place. It is sealed, so that no one can truncate it below the
 * mapping. It holds one line: the end of the lease in seconds since the kernel's start, twice, each
 * with ten digits. A write that was only partly seen leaves the two different.
 */
#define _GNU_SOURCE
#include "slot_init.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

/*
 * The number of the page's descriptor: high, so that no other process has it should a PID be used
 * again (board/lease.rs).
 */
#define PAGE_FD 700
#define PAGE_SIZE 4096
#define DIGITS 10
#define LINE (2 * DIGITS + 2)

/* linux/memfd.h since 6.3; without it newer kernels warn once. */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

/*
 * Names of the processes (board/lease.rs). The first tells that the kernel has SysRq, or that it
 * lacks it.
 */
#define ASKS "lockstep-sysrq"
#define ASKS_NOTHING "lockstep-says"
#define RESTARTS "lockstep-lease"
#define STARVES "lockstep-wdog"

/*
 * How long the questions, a crash with `panic=10` and the reset after it may take: a slow serial
 * line prints all of it.
 */
#ifndef ASK_SECONDS
#define ASK_SECONDS 90
#endif
/* The same for a kernel that has no SysRq: time for one line in its log. */
#ifndef WORDS_SECONDS
#define WORDS_SECONDS 2
#endif
/* How long reboot(2) may take: it shuts every device down first. */
#ifndef RESTART_SECONDS
#define RESTART_SECONDS 30
#endif
/* How long the start of the three processes may take: their pages come from the disk. */
#define START_MILLISECONDS 30000
/* Between two attempts of the same process. */
#define AGAIN_SECONDS 60

struct end {
	/* What `ps` and /proc/PID/comm show; 15 characters are kept. */
	const char *name;
	/* Seconds from the end of the lease. */
	long after;
	/* Of SCHED_FIFO. A later one preempts an earlier one that spins. */
	int priority;
	void (*act)(int trigger);
};

static const volatile char *page;

long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_BOOTTIME, &time);
	return time.tv_sec;
}

void rest(long seconds)
{
	struct timespec time = { .tv_sec = seconds };

	while (nanosleep(&time, &time) != 0 && errno == EINTR)
		;
}

/* The end that the host wrote last; `known` while it writes another one. */
static long deadline(long known)
{
	char line[LINE + 1];

	if (page == NULL)
		return known;
	for (int at = 0; at < LINE; at++)
		line[at] = page[at];
	line[LINE] = '\0';
	if (strspn(line, "0123456789") != DIGITS || line[DIGITS] != ' ' || line[LINE - 1] != '\n' ||
	    memcmp(line, line + DIGITS + 1, DIGITS) != 0)
		return known;
	long written = strtol(line, NULL, 10);
	return written > 0 ? written : known;
}

/* False: the lease cannot be renewed. It ends all the same, at its first end. */
static bool make_page(long seconds)
{
	char line[LINE + 1];
	int file = memfd_create("lockstep-lease", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

	if (file < 0 && errno == EINVAL)
		file = memfd_create("lockstep-lease", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (file < 0)
		return false;
	snprintf(line, sizeof(line), "%0*ld %0*ld\n", DIGITS, seconds, DIGITS, seconds);
	void *mapped = MAP_FAILED;
	if (ftruncate(file, PAGE_SIZE) == 0 && pwrite(file, line, LINE, 0) == LINE &&
	    fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0 &&
	    dup3(file, PAGE_FD, O_CLOEXEC) == PAGE_FD)
		mapped = mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED, PAGE_FD, 0);
	close(file);
	if (mapped == MAP_FAILED)
		return false;
	page = mapped;
	return true;
}

static void last_words(int trigger)
{
	say("the lease ran out at %ld s: %s", now(),
	    trigger < 0 ? "this kernel has no SysRq, it is restarted" :
			  "blocked tasks, locks and CPUs follow, then a crash on purpose");
	if (trigger >= 0)
		ask_and_crash(trigger);
}

static void restarting(int trigger)
{
	(void)trigger;
	/*
	 * Without a word before it: a console that hangs would keep the process from what it is
	 * there for.
	 */
	restart();
}

static void starving(int trigger)
{
	(void)trigger;
	starve_watchdog();
}

/* One of the processes. Reports on `ready` that it holds all that it needs. */
static _Noreturn void hold(const struct end *end, long seconds, int trigger, int ready)
{
	setsid();
	prctl(PR_SET_NAME, end->name);
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_IGN);
	/* Where memory runs out, others are killed (proc(5)). */
	int adjust = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (adjust >= 0) {
		ssize_t written = write(adjust, "-1000", 5);
		(void)written;
		close(adjust);
	}
	/* Ahead of anything that spins in user space. */
	struct sched_param priority = { .sched_priority = end->priority };
	if (sched_setscheduler(0, SCHED_FIFO, &priority) != 0) {
		say("the lease gets no real-time priority: %s", strerror(errno));
		_exit(1);
	}
	if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0) {
		say("the lease cannot be locked in memory: %s", strerror(errno));
		_exit(1);
	}
	if (write(ready, "", 1) != 1)
		_exit(1);
	close(ready);
	while (now() < seconds) {
		rest(1);
		seconds = deadline(seconds);
	}
	rest(end->after);
	for (;;) {
		end->act(trigger);
		rest(AGAIN_SECONDS);
	}
}

/* Whether so many processes report that they are ready. */
static bool await(int ready, size_t count)
{
	struct pollfd waiting = { .fd = ready, .events = POLLIN };
	char bytes[8];

	while (count > 0) {
		if (poll(&waiting, 1, START_MILLISECONDS) <= 0)
			return false;
		ssize_t got = read(ready, bytes, count);
		if (got <= 0)
			return false;
		count -= (size_t)got;
	}
	return true;
}

bool start_lease(long seconds, char *shown)
{
	int ready[2], trigger = open_sysrq();
	long asking = trigger < 0 ? WORDS_SECONDS : ASK_SECONDS;
	const struct end ends[] = {
		{ trigger < 0 ? ASKS_NOTHING : ASKS, 0, 50, last_words },
		{ RESTARTS, asking, 51, restarting },
		{ STARVES, asking + RESTART_SECONDS, 52, starving },
	};
	const size_t count = sizeof(ends) / sizeof(ends[0]);

	if (!make_page(seconds))
		say("the lease cannot be renewed: %s", strerror(errno));
	if (pipe2(ready, O_CLOEXEC) != 0) {
		say("starting the lease: %s", strerror(errno));
		return false;
	}
	for (size_t number = 0; number < count; number++) {
		pid_t child = fork();
		if (child < 0) {
			say("starting the lease: %s", strerror(errno));
			return false;
		}
		if (child == 0) {
			/*
			 * systemd spares processes of root whose name begins with `@` when it ends
			 * all others on the way down (systemd.io/ROOT_STORAGE_DAEMONS): a shutdown
			 * that hangs must end, too.
			 */
			shown[0] = '@';
			close(ready[0]);
			hold(&ends[number], seconds, trigger, ready[1]);
		}
	}
	close(ready[1]);
	bool started = await(ready[0], count);
	close(ready[0]);
	if (trigger >= 0)
		close(trigger);
	close(PAGE_FD);
	if (started)
		say("lease: this boot ends %ld s after its start unless the host renews it", seconds);
	else
		say("starting the lease: not every process of it is ready");
	return started;
}
