// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * First user space of a test kernel: `init=` of our label. Static, so that it depends on nothing of the board.
 *
 *   1. puts a root that is thrown away over the board's own, where that is asked for (overlay.c);
 *   2. starts the lease (lease.c), which ends this boot unless the host renews it;
 *   3. puts vanilla's default back, where the boot method had to change it (restore.c);
 *   4. becomes the board's own init.
 *
 * A step that cannot be done is told in the kernel log, and does not keep the board from booting, but for the first: without it the boot
 * ends. The first comes before the lease, whose program must not lose `/proc` while it starts; it reads folders that are in memory already. What
 * is asked for stands in `/proc/cmdline`:
 *
 *   lockstep.root=overlay   the root is thrown away with the boot
 *   lockstep.lease=SECONDS  the lease ends so long after the kernel's start unless it is renewed; without it there is no lease
 *   lockstep.init=PATH      the board's own init; /sbin/init without it
 *   lockstep.restore=DIR    what restore.c reads
 */
#define _GNU_SOURCE
#include "slot_init.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

void say(const char *format, ...)
{
	char line[256] = "<1>lockstep: ";
	size_t used = strlen(line);
	va_list arguments;

	va_start(arguments, format);
	int length = vsnprintf(line + used, sizeof(line) - used - 1, format, arguments);
	va_end(arguments);
	if (length < 0)
		return;
	used += (size_t)length < sizeof(line) - used - 1 ? (size_t)length : sizeof(line) - used - 2;
	line[used++] = '\n';

	int kmsg = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	if (kmsg < 0)
		return;
	ssize_t written = write(kmsg, line, used);
	(void)written;
	close(kmsg);
}

/* The value of `name=` on the kernel's command line, into `value`; false without one, or with one that does not fit. */
static bool parameter(const char *name, char *value, size_t size)
{
	static char line[8192];
	int file = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);

	if (file < 0)
		return false;
	ssize_t length = read(file, line, sizeof(line) - 1);
	close(file);
	if (length <= 0)
		return false;
	line[length] = '\0';

	char *rest = line;
	for (char *word; (word = strsep(&rest, " \n")) != NULL;) {
		size_t stem = strlen(name);
		if (strncmp(word, name, stem) != 0 || word[stem] != '=')
			continue;
		if (strlen(word + stem + 1) >= size)
			return false;
		strcpy(value, word + stem + 1);
		return true;
	}
	return false;
}

int main(int argc, char **argv)
{
	char value[256], init[256] = "/sbin/init";

	if (argc > 1 && strcmp(argv[0], LEASE_NAME) == 0)
		return hold_lease(strtol(argv[1], NULL, 10));

	/* Without an initramfs nobody has mounted it yet; systemd leaves one that is there. */
	if (access("/proc/cmdline", R_OK) != 0 &&
	    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0)
		say("mounting /proc: %s; there is no lease", strerror(errno));

	if (parameter("lockstep.root", value, sizeof(value)) && (strcmp(value, "overlay") != 0 || !throw_away_root())) {
		say("lockstep.root=%s is not to be had: this boot ends", value);
		/* As below. */
		return 1;
	}

	if (parameter("lockstep.lease", value, sizeof(value))) {
		long seconds = strtol(value, NULL, 10);
		if (seconds > 0)
			start_lease(seconds);
		else
			say("lockstep.lease=%s is no number of seconds; there is no lease", value);
	}
	if (parameter("lockstep.restore", value, sizeof(value)))
		restore_default(value);
	parameter("lockstep.init", init, sizeof(init));

	argv[0] = init;
	execv(init, argv);
	say("starting %s: %s", init, strerror(errno));
	/* The kernel panics when its init ends, and `panic=10` brings vanilla. */
	return 1;
}
