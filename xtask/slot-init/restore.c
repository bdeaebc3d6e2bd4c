// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Puts extlinux.conf back as it was before the boot method `default-swap` made our label the default, as early as user space can.
 *
 * The folder has: `device` (one line: the block device of the boot folder's file system), `type` (its type), `target` (where
 * extlinux.conf is in it), `armed` (its bytes with our label as the default) and `extlinux.conf` (its bytes with vanilla as the default).
 * A file that is not `armed` any more was changed by somebody else, and is left alone. The new file is written beside the old one, flushed,
 * read back, renamed and flushed.
 */
#define _GNU_SOURCE
#include "slot_init.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* U-Boot reads no longer extlinux.conf than 64 KiB; one byte more shows a file that is longer. */
#define LONGEST (65536 + 1)
/* The device of a slow card may come later than init. */
#define DEVICE_TRIES 100

/* Its length; -1 where it cannot be read to its end, also because it does not fit. */
static ssize_t read_file(const char *path, char *bytes, size_t size)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);

	if (file < 0)
		return -1;
	size_t used = 0;
	for (ssize_t got; used < size && (got = read(file, bytes + used, size - used)) != 0; used += (size_t)got)
		if (got < 0) {
			close(file);
			return -1;
		}
	close(file);
	return used < size ? (ssize_t)used : -1;
}

/* A file of one line, without its newline. */
static bool read_line(const char *folder, const char *name, char *line, size_t size)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	ssize_t length = read_file(path, line, size - 1);
	if (length <= 0)
		return false;
	line[length] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return line[0] != '\0';
}

static bool write_beside(const char *beside, const char *bytes, size_t length)
{
	static char back[LONGEST];
	/* Never an old one: after a power cut it may share its clusters with the target. */
	int file = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);

	if (file < 0)
		return false;
	size_t written = 0;
	for (ssize_t put; written < length && (put = write(file, bytes + written, length - written)) > 0;)
		written += (size_t)put;
	bool flushed = fsync(file) == 0;
	close(file);
	return flushed && written == length && read_file(beside, back, sizeof(back)) == (ssize_t)length &&
	       memcmp(back, bytes, length) == 0;
}

/* Whether the file is, byte for byte, the one that the boot method left. */
static bool is_armed(const char *folder, const char *path)
{
	static char armed[LONGEST], now[LONGEST];
	char source[512];

	snprintf(source, sizeof(source), "%s/armed", folder);
	ssize_t length = read_file(source, armed, sizeof(armed));
	return length > 0 && read_file(path, now, sizeof(now)) == length && memcmp(armed, now, (size_t)length) == 0;
}

static bool replace(const char *path, const char *bytes, size_t length)
{
	char beside[1040];
	int number = 0;
	do
		snprintf(beside, sizeof(beside), "%s.lockstep%d", path, number);
	while (access(beside, F_OK) == 0 && ++number < 100);

	/* vfat frees the old file's clusters when it is renamed over and nobody has it open: not before the new name is on the disk. */
	/* Of the two flushes the first writes all, and on vfat only the second has the disk empty its own cache. */
	int old = open(path, O_RDONLY | O_CLOEXEC);
	if (old < 0)
		return false;
	bool done = write_beside(beside, bytes, length) && rename(beside, path) == 0 && syncfs(old) == 0 && fsync(old) == 0;
	close(old);
	return done;
}

void restore_in(const char *folder, const char *root)
{
	static char bytes[LONGEST];
	char target[512], source[512], path[1024];

	snprintf(source, sizeof(source), "%s/extlinux.conf", folder);
	ssize_t length = read_file(source, bytes, sizeof(bytes));
	if (length <= 0 || !read_line(folder, "target", target, sizeof(target))) {
		say("vanilla's default is not put back: %s cannot be read", folder);
		return;
	}
	snprintf(path, sizeof(path), "%s/%s", root, target);
	if (!is_armed(folder, path))
		say("%s is not as the boot method left it: it stays", target);
	else if (replace(path, bytes, (size_t)length))
		say("vanilla is the default again");
	else
		say("vanilla's default is not put back: writing %s: %s", target, strerror(errno));
}

void restore_default(const char *folder)
{
	char device[256], type[32];

	/* Only the method `default-swap` makes the folder, for one boot. */
	if (access(folder, F_OK) != 0)
		return;
	if (!read_line(folder, "device", device, sizeof(device)) || !read_line(folder, "type", type, sizeof(type))) {
		say("vanilla's default is not put back: %s cannot be read", folder);
		return;
	}
	/* A mount point that is there in every system, and private to this program: nobody else runs yet. */
	const char *root = "/tmp";
	for (int tries = DEVICE_TRIES; mount(device, root, type, MS_NOSUID | MS_NODEV | MS_DIRSYNC, NULL) != 0; tries--) {
		if (tries == 0) {
			say("vanilla's default is not put back: mounting %s: %s", device, strerror(errno));
			return;
		}
		usleep(50000);
	}
	restore_in(folder, root);
	if (umount(root) != 0)
		say("%s stays mounted on %s: %s", device, root, strerror(errno));
}
