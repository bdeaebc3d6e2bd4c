// SPDX-License-Identifier: MIT OR Apache-2.0
#ifndef SLOT_INIT_H
#define SLOT_INIT_H

#include <stdbool.h>

/*
 * Name of the lease's process. systemd spares processes of root whose name begins with `@` when it ends all others on the way down
 * (systemd.io/ROOT_STORAGE_DAEMONS): a shutdown that hangs must end, too.
 */
#define LEASE_NAME "@lockstep-lease"

/* Writes a line to the kernel log. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Starts the lease as a process of its own, `seconds` after the kernel's start being its first end. */
void start_lease(long seconds);

/* Puts an overlay in memory over the root. False: it could not, and said why; the root may be half-changed then. */
bool throw_away_root(void);

/* The lease's own loop; does not come back while the kernel lives. */
int hold_lease(long seconds);

/* Puts vanilla's default back as the folder `folder` says, on the file system that it names. */
void restore_default(const char *folder);

/* The same below `root`, where that file system is mounted. */
void restore_in(const char *folder, const char *root);

#endif
