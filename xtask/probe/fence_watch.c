// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * fence_watch.c - what happens to the write fence of a dma-buf during a job?
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <linux/dma-buf.h>
#include <linux/sync_file.h>

#include "fence_watch.h"
#include "verdict.h"

atomic_int ever_pending;

int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* The write fence of a dma-buf as a sync_file, or -1. */
static int export_fence(int dmabuf)
{
	struct dma_buf_export_sync_file e = { .flags = DMA_BUF_SYNC_READ, .fd = -1 };

	return xioctl(dmabuf, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &e) < 0 ? -1 : e.fd;
}

/* 0 pending, 1 signalled, negative signalled with an error; -EBADF if unknown. */
static int fence_status(int sync, struct sync_fence_info *f)
{
	struct sync_file_info info = { .num_fences = 1 };

	memset(f, 0, sizeof(*f));
	info.sync_fence_info = (uintptr_t)f;
	if (xioctl(sync, SYNC_IOC_FILE_INFO, &info) < 0)
		return -EBADF;
	return info.status;
}

/* The fence behind @sync is pending: follow it to its end. */
static void follow(struct watch *w, int sync)
{
	struct pollfd in = { .fd = w->dmabuf[0], .events = POLLIN };
	struct pollfd end = { .fd = sync, .events = POLLIN };
	struct sync_fence_info f;
	int other, ready;

	other = export_fence(w->dmabuf[1]);
	if (other >= 0) {
		/* Both have the same fence, unless it was signalled just now. */
		if (fence_status(other, &f) != 0 && fence_status(sync, &f) == 0)
			w->other_missing = 1;
		close(other);
	}

	ready = poll(&in, 1, 0);
	if (fence_status(sync, &f) == 0) {
		w->poll_blocked = ready == 0;
		w->poll_early = ready > 0;
	}

	if (poll(&end, 1, w->limit_ms) == 1) {
		w->status = fence_status(sync, &f);
		w->signalled = w->status != 0;
		w->t_signal = (int64_t)(f.timestamp_ns / 1000);
	}
	w->poll_ready = poll(&in, 1, 1000) == 1 && (in.revents & POLLIN);
}

void *observe(void *arg)
{
	const struct timespec pause = { .tv_nsec = 200000 };
	struct watch *w = arg;

	while (!atomic_load(&w->stop)) {
		int sync = export_fence(w->dmabuf[0]);
		struct sync_fence_info f;

		if (sync < 0) {
			w->error = errno;
			break;
		}
		if (fence_status(sync, &f) == 0) {
			w->t_pending = now_us();
			memcpy(w->name, f.driver_name, sizeof(w->name) - 1);
			memcpy(w->timeline, f.obj_name, sizeof(w->timeline) - 1);
			atomic_store(&w->pending, 1);
			atomic_store(&ever_pending, 1);
			follow(w, sync);
			close(sync);
			break;
		}
		close(sync);
		nanosleep(&pause, NULL);
	}
	return NULL;
}
