// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * A root that is thrown away: an overlay in memory over the board's own root, which stays read-only below it. What the test kernel writes to `/`
 * is gone with its boot; a file system that it would damage is not written.
 *
 * It is all or nothing: what cannot be done here must not end in a boot on the board's own root.
 */
#define _GNU_SOURCE
#include "slot_init.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Two folders that are there in every system: the second is the first as it is seen in the overlay. */
#define MEMORY "/tmp"
#define NEW MEMORY "/root"

static bool failed(const char *doing)
{
	say("a root that is thrown away: %s: %s", doing, strerror(errno));
	return false;
}

static bool is_read_only(const char *path)
{
	struct statvfs found;

	return statvfs(path, &found) == 0 && (found.f_flag & ST_RDONLY) != 0;
}

bool throw_away_root(void)
{
	/* The kernel's own and what an initramfs left. */
	static const char *const moved[] = { "/dev", "/proc", "/sys", "/run" };
	char target[64];

	if (!is_read_only("/") && mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL) != 0)
		return failed("making the board's own root read-only");
	/* pivot_root(2) refuses shared mounts; an initramfs may have made them so. */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		return failed("making the mounts private");
	if (mount("lockstep", MEMORY, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700") != 0)
		return failed("mounting a tmpfs");
	if (mkdir(MEMORY "/upper", 0755) != 0 || mkdir(MEMORY "/work", 0700) != 0 || mkdir(NEW, 0755) != 0)
		return failed("making the overlay's folders");
	if (mount("overlay", NEW, "overlay", 0, "lowerdir=/,upperdir=" MEMORY "/upper,workdir=" MEMORY "/work") != 0)
		return failed("mounting the overlay (CONFIG_OVERLAY_FS has to be built in)");
	for (size_t number = 0; number < sizeof(moved) / sizeof(moved[0]); number++) {
		snprintf(target, sizeof(target), NEW "%s", moved[number]);
		/* EINVAL: nothing is mounted there. */
		if (mount(moved[number], target, NULL, MS_MOVE, NULL) != 0 && errno != EINVAL)
			return failed(moved[number]);
	}
	if (syscall(SYS_pivot_root, NEW, NEW MEMORY) != 0 || chdir("/") != 0)
		return failed("changing to it");
	if (umount2(MEMORY, MNT_DETACH) != 0)
		return failed("letting the board's own root go");
	say("what is written to / is gone with this boot");
	return true;
}
