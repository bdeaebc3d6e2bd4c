// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * verdict.h - how a run of the probe ends, for all of its files
 */
#ifndef VERDICT_H
#define VERDICT_H

/* Exit codes; see release_fence.c. */
enum verdict { OK = 0, NO_FENCE = 1, WRONG = 2, CANNOT_RUN = 3 };

/* Print the JSON object with this reason and exit. */
__attribute__((noreturn, format(printf, 2, 3)))
void stop_with(enum verdict code, const char *fmt, ...);

/* CANNOT_RUN with errno, if a system call that has to work did not. */
void must(int result, const char *what);

/* ioctl() that a signal does not end. */
int xioctl(int fd, unsigned long request, void *arg);

#endif
