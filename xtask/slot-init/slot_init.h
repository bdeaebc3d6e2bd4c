// SPDX-License-Identifier: MIT OR Apache-2.0
#ifndef SLOT_INIT_H
#define SLOT_INIT_H

#include <stdbool.h>

/*
 * Where restore.c looks when the command line cannot be read (RESTORE_FOLDER in
 * board/slot_init.rs).
 */
#define RESTORE_FOLDER "/var/lib/lockstep/boot-once"

/* Writes a line to the kernel log. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Seconds since the kernel's start (CLOCK_BOOTTIME). */
long now(void);

/* Sleeps, whatever signals arrive. */
void rest(long seconds);

/*
 * Starts the lease: it ends `seconds` after the kernel's start unless the host renews it. `shown`
 * is the program's argv[0]. False: there is no complete lease, and the kernel log has the reason.
 */
bool start_lease(long seconds, char *shown);

/*
 * What the lease ends a boot by (ends.c), in this order. Each function returns only if it did not
 * end the boot.
 */

/* Opens the trigger of SysRq; negative where this kernel has none. */
int open_sysrq(void);

/*
 * Has the kernel print blocked tasks, held locks and what each CPU does, then crashes it, so that
 * pstore keeps all that; then resets.
 */
void ask_and_crash(int trigger);

/* reboot(2). */
void restart(void);

/* Gives the hardware watchdog the shortest time that it takes, and stops whoever feeds it. */
void starve_watchdog(void);

/*
 * Puts an overlay in memory over the root. False: it failed, and the kernel log has the reason; the
 * root may be partly changed then.
 */
bool throw_away_root(void);

/* Puts vanilla's default back as the folder `folder` says, on the file system that it names. */
void restore_default(const char *folder);

/* The same below `root`, where that file system is mounted. */
void restore_in(const char *folder, const char *root);

#endif
