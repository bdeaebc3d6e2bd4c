// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * fence_watch.h - what happens to the write fence of a dma-buf during a job?
 */
#ifndef FENCE_WATCH_H
#define FENCE_WATCH_H

#include <stdatomic.h>
#include <stdint.h>

/* What the observer saw for one job. Times in µs of CLOCK_MONOTONIC. */
struct watch {
	int dmabuf[2];		/* two exports of the buffer */
	int limit_ms;		/* how long a fence may stay pending */
	atomic_int stop;	/* set it when the job is over */
	atomic_int pending;	/* a pending fence was seen */
	int error;		/* errno of a failed ioctl */
	int other_missing;	/* the second dma-buf had no pending fence */
	int poll_blocked, poll_early, poll_ready;
	int signalled, status;
	int64_t t_pending, t_signal;
	char name[32], timeline[32];
};

/* Whether any watch ever saw a pending fence; safe in a signal handler. */
extern atomic_int ever_pending;

/* CLOCK_MONOTONIC, which the kernel stamps fences with as well. */
int64_t now_us(void);

/* Thread: watch until a pending fence was followed to its end, or until stop. */
void *observe(void *watch);

#endif
