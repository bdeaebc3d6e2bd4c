// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * First user space of a test kernel: `init=` of our label. Static, so that it depends on nothing of the board.
 *
 *   1. puts a root that is thrown away over the board's own, where that is asked for (overlay.c);
 *   2. starts the lease (lease.c), which ends this boot unless the host renews it;
 *   3. puts vanilla's default back, where the boot method had to change it (restore.c);
 *   4. becomes the board's own init.
 *
 * What cannot be done as it was asked for ends the boot: one that went on would be weaker than what
 * was promised. Only the third step goes on when it fails: the default is our label then, so that a
 * boot that ends would be followed by the next of the same kind, and the host, which looks at the
 * default before and after each boot, can put it back while the lease lasts.
 *
 * What is asked for is in `/proc/cmdline`. Our label has all of it or none: a command line without
 * the nonce, its last word, was cut off.
 *
 *   lockstep.root=overlay   the root is thrown away with the boot
 *   lockstep.lease=SECONDS  the lease ends so long after the kernel's start unless it is renewed
 *   lockstep.init=PATH      the board's own init; /sbin/init without it
 *   lockstep.restore=DIR    what restore.c reads
 *   lockstep.nonce=WORD     the deploy that this boot belongs to; the host compares it
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

/* /dev/kmsg. Opened before the lease starts, which looks up no path when it ends. */
static int kmsg = -1;

/* How long restoring vanilla's default may take in a boot that ends anyway. */
#define RESTORE_SECONDS 60

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

	if (kmsg < 0)
		return;
	ssize_t written = write(kmsg, line, used);
	(void)written;
}

/* The kernel's command line, from read_command_line(). */
static char command_line[8192];

/* False: it cannot be read, or not to its end; errno says why. */
static bool read_command_line(void)
{
	int file = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);

	/* Without an initramfs no one has mounted it yet; systemd leaves one that is there. */
	if (file < 0 && mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0)
		file = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return false;
	ssize_t length = 0, got;
	errno = ENODATA;
	while ((got = read(file, command_line + length, sizeof(command_line) - 1 - (size_t)length)) > 0)
		length += got;
	close(file);
	command_line[length] = '\0';
	if ((size_t)length == sizeof(command_line) - 1)
		errno = E2BIG;
	return got == 0 && length > 0 && (size_t)length < sizeof(command_line) - 1;
}

/* What the command line has by a name. */
enum asked {
	ABSENT,
	PRESENT,
	/* It does not fit into the place that its reader has for it. */
	TOO_LONG,
};

/*
 * The value of `name=` on the command line, into `value`, which stays as it is without one. The
 * first counts.
 */
static enum asked parameter(const char *name, char *value, size_t size)
{
	size_t stem = strlen(name);

	for (const char *word = command_line; *word != '\0'; word += strspn(word, " \n")) {
		size_t length = strcspn(word, " \n");
		if (length > stem && strncmp(word, name, stem) == 0 && word[stem] == '=') {
			if (length - stem - 1 >= size)
				return TOO_LONG;
			memcpy(value, word + stem + 1, length - stem - 1);
			value[length - stem - 1] = '\0';
			return PRESENT;
		}
		word += length;
	}
	return ABSENT;
}

/* Decimal digits alone; 0 where `text` is something else. */
static long seconds_of(const char *text)
{
	size_t length = strlen(text);

	return length > 0 && length < 10 && strspn(text, "0123456789") == length ? strtol(text, NULL, 10) : 0;
}

/*
 * Restarts the board, which comes up as vanilla: where our label is the default, vanilla's is put
 * back first, as far as that can be done within a time.
 */
static int end_boot(void)
{
	char folder[256] = RESTORE_FOLDER;

	say("this boot ends");
	if (fork() == 0) {
		rest(RESTORE_SECONDS);
		restart();
		_exit(1);
	}
	parameter("lockstep.restore", folder, sizeof(folder));
	restore_default(folder);
	restart();
	/* The kernel panics when its init ends, and `panic=10` brings vanilla. */
	return 1;
}

int main(int argc, char **argv)
{
	char value[256], init[256] = "/sbin/init";

	(void)argc;
	kmsg = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	/*
	 * Most kernels have mounted it (CONFIG_DEVTMPFS_MOUNT). Without it nothing could be told,
	 * and the boot goes on all the same.
	 */
	if (kmsg < 0 && mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=0755") == 0)
		kmsg = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);

	if (!read_command_line()) {
		say("reading /proc/cmdline: %s", strerror(errno));
		return end_boot();
	}
	if (parameter("lockstep.nonce", value, sizeof(value)) != PRESENT) {
		say("the command line was cut off before lockstep.nonce=");
		return end_boot();
	}
	switch (parameter("lockstep.root", value, sizeof(value))) {
	case ABSENT:
		break;
	case PRESENT:
		if (strcmp(value, "overlay") == 0 && throw_away_root())
			break;
		/* fallthrough */
	default:
		say("lockstep.root= is not `overlay`, or that cannot be had");
		return end_boot();
	}
	/* After the root: it holds no file of the one that is thrown away then. */
	if (parameter("lockstep.lease", value, sizeof(value)) != PRESENT || seconds_of(value) == 0) {
		say("lockstep.lease= is not a number of seconds");
		return end_boot();
	}
	if (!start_lease(seconds_of(value), argv[0]))
		return end_boot();
	switch (parameter("lockstep.restore", value, sizeof(value))) {
	case PRESENT:
		restore_default(value);
		break;
	case ABSENT:
		break;
	case TOO_LONG:
		restore_default(RESTORE_FOLDER);
	}
	if (parameter("lockstep.init", init, sizeof(init)) == TOO_LONG) {
		say("lockstep.init= is longer than %zu bytes", sizeof(init) - 1);
		return end_boot();
	}
	argv[0] = init;
	execv(init, argv);
	say("starting %s: %s", init, strerror(errno));
	return end_boot();
}
