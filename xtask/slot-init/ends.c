// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The means by which the lease ends a boot. Errors are of no use: there is no one left to tell, and
 * the next means follows.
 */
#define _GNU_SOURCE
#include "slot_init.h"

#include <fcntl.h>
#include <linux/watchdog.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* `panic=10` and some: by then a crash has reset the board, or it never will. */
#define CRASH_SECONDS 20
/* No watchdog that is worth the name needs longer than this. */
#define LONGEST_SECONDS 128
/*
 * The kernel's own bound (PID_MAX_LIMIT on 64 bits, include/linux/threads.h), and descriptors that
 * are looked at in each process.
 */
#define PIDS 4194304
#define DESCRIPTORS 256
/* What a process may have open at most (fs.nr_open). */
#define OPEN_FILES 1048576

/* Since Linux 5.3 and 5.6; the same number on every architecture. */
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

static void sysrq(int trigger, char key)
{
	ssize_t written = write(trigger, &key, 1);
	(void)written;
}

int open_sysrq(void)
{
	return open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);
}

void ask_and_crash(int trigger)
{
	for (const char *key = "wdlm"; *key != '\0'; key++) {
		sysrq(trigger, *key);
		rest(1);
	}
	sysrq(trigger, 'c');
	rest(CRASH_SECONDS);
	sysrq(trigger, 'b');
}

void restart(void)
{
	reboot(RB_AUTOBOOT);
}

/*
 * Documentation/watchdog/watchdog-api.rst. False: `device` is no watchdog. Asks the kernel alone: a
 * file of a server that is gone answers fstat(2) never.
 */
static bool shorten(int device)
{
	struct watchdog_info info;
	struct statx status;
	int on = WDIOS_ENABLECARD;

	if (statx(device, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &status) != 0 || !S_ISCHR(status.stx_mode) ||
	    ioctl(device, WDIOC_GETSUPPORT, &info) != 0)
		return false;
	for (int seconds = 1; seconds <= LONGEST_SECONDS; seconds *= 2) {
		int timeout = seconds;
		if (ioctl(device, WDIOC_SETTIMEOUT, &timeout) == 0)
			break;
	}
	/* A restart that hangs may have stopped it on its way (watchdog_stop_on_reboot). */
	ioctl(device, WDIOC_SETOPTIONS, &on);
	return true;
}

/*
 * A watchdog has one user at a time: its descriptor is taken from the process that feeds it, and
 * that process is stopped. What is taken stays open: close(2) may wait for a server, and closing a
 * watchdog may stop it.
 */
static bool starve(pid_t process)
{
	bool found = false;
	int handle = (int)syscall(SYS_pidfd_open, process, 0);

	if (handle < 0)
		return false;
	for (int number = 0; number < DESCRIPTORS && !found; number++) {
		int device = (int)syscall(SYS_pidfd_getfd, handle, number, 0);
		found = device >= 0 && shorten(device);
	}
	close(handle);
	/* PID 1 ignores SIGSTOP; it can be traced. */
	if (found && ptrace(PTRACE_SEIZE, process, 0, 0) == 0)
		ptrace(PTRACE_INTERRUPT, process, 0, 0);
	return found;
}

void starve_watchdog(void)
{
	struct rlimit open_files = { .rlim_cur = OPEN_FILES, .rlim_max = OPEN_FILES };

	setrlimit(RLIMIT_NOFILE, &open_files);
	for (pid_t process = 1; process < PIDS; process++)
		if (process != getpid() && starve(process))
			return;
	/*
	 * Nobody feeds it: opening it starts it. The last that is tried, since it looks up a path.
	 */
	int device = open("/dev/watchdog", O_WRONLY | O_CLOEXEC);
	if (device < 0)
		device = open("/dev/watchdog0", O_WRONLY | O_CLOEXEC);
	if (device >= 0)
		shorten(device);
}
