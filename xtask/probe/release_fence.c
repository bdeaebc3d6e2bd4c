// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * release_fence - does a mem2mem device publish a release fence for the buffer
 * that it fills, and signal it with the buffer?
 *
 *   release_fence [--device /dev/videoN | --driver NAME] [--transtime MS]
 *                 [--frames N] [--deadline MS] [--import] [--cancel] [--json]
 *
 * For each frame it queues one CAPTURE buffer, whose memory it holds as two
 * separately exported dma-bufs (of its first and of its last plane, which is the
 * same for most formats), and one OUTPUT buffer, which starts the job. A
 * second thread asks the dma-buf for its write fence all the while
 * (DMA_BUF_IOCTL_EXPORT_SYNC_FILE with DMA_BUF_SYNC_READ, SYNC_IOC_FILE_INFO):
 * drivers like vicodec do the whole job inside VIDIOC_QBUF. A signalled fence
 * reads like the kernel's stub, so only one that is seen pending (status 0)
 * counts. When it is signalled, its own time stamp is compared with the job.
 *
 *   --driver NAME    first device with this driver and a raw OUTPUT format
 *                    (default vim2m)
 *   --transtime MS   length of a job where the driver has vim2m's control
 *                    (default 200); such a device must show a pending fence for
 *                    each frame that took half of it, any other one for at least
 *                    one frame
 *   --import         the CAPTURE queue imports dma-bufs (V4L2_MEMORY_DMABUF)
 *                    that a second handle of the device exports
 *   --cancel         afterwards stop streaming in the middle of a job
 *   --deadline MS    for a job, beyond its transaction time (default 5000)
 *   --json           nothing but the JSON object: no explanation on stderr
 *
 * It prints one JSON object on stdout. Exit codes:
 *   0  a fence was pending during the job, in both dma-bufs, kept poll() from
 *      reporting POLLIN, and was signalled with the buffer
 *   1  no pending fence was seen: only the stub, as on a plain kernel. For a
 *      device without a slow job this may also mean that it was too fast
 *   2  the fence is wrong: never signalled, signalled before the job was over
 *      or after the buffer came back, with the wrong status, not for all frames,
 *      or not in all dma-bufs of the buffer
 *   3  cannot run: no such device, or something failed before a verdict
 *
 * Build: aarch64-linux-gnu-gcc -O2 -Wall -Wextra -Werror -static -pthread
 *        -o release_fence release_fence.c fence_watch.c m2m_device.c
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fence_watch.h"
#include "m2m_device.h"
#include "verdict.h"

#define BUFS 2			/* CAPTURE buffers, used in turn */
#define CID_TRANSTIME (V4L2_CID_USER_BASE + 0x1000) /* vim2m.c */
#define EARLY_SLACK_US 20000	/* a timer counts in jiffies: two at HZ=100 */
#define EARLY_GAP_US 50000	/* the least from a fence to DQBUF that is early */
#define UNKNOWN_GAP_US 2000000	/* the same for a job of unknown length */
#define LATE_SLACK_US 20000	/* the fence may follow the buffer by this */

static struct {
	const char *device, *driver;
	int transtime, frames, deadline, import, cancel, json;
} opt = { .driver = "vim2m", .transtime = 200, .frames = 3, .deadline = 5000 };

/* What is printed; one run. */
static struct {
	struct device dev;
	char fence_driver[32], timeline[32], reason[200];
	int slow, frames, pending, missing, signalled, poll_blocked, cancelled;
	int64_t pending_us, job_min_us, job_max_us, before_us, after_us;
} seen;

/* Text from the kernel or a command line, made safe for a JSON string. */
static void json_text(const char *key, const char *s)
{
	printf("\"%s\":\"", key);
	for (; *s; s++)
		putchar(*s < ' ' || *s > '~' || *s == '"' || *s == '\\' ? '?' : *s);
	printf("\",");
}

__attribute__((noreturn)) static void finish(enum verdict code)
{
	static const char *const result[] = { "ok", "no-fence", "wrong", "cannot-run" };

	printf("{\"probe\":\"release_fence\",");
	json_text("driver", seen.dev.driver);
	json_text("card", seen.dev.card);
	json_text("device", seen.dev.path);
	json_text("memory", opt.import ? "dmabuf" : "mmap");
	printf("\"transtime_ms\":%d,", seen.slow ? opt.transtime : 0);
	printf("\"frames\":%d,\"pending_observed\":%d,\"missing\":%d,\"signalled\":%d,",
	       seen.frames, seen.pending, seen.slow ? seen.missing : 0, seen.signalled);
	printf("\"poll_blocked\":%d,\"cancelled\":%d,", seen.poll_blocked, seen.cancelled);
	json_text("fence_driver", seen.fence_driver);
	json_text("fence_timeline", seen.timeline);
	printf("\"first_pending_us\":%lld,\"job_min_us\":%lld,\"job_max_us\":%lld,",
	       (long long)seen.pending_us, (long long)seen.job_min_us,
	       (long long)seen.job_max_us);
	printf("\"signal_before_dqbuf_max_us\":%lld,\"signal_after_dqbuf_max_us\":%lld,",
	       (long long)seen.before_us, (long long)seen.after_us);
	json_text("reason", seen.reason);
	printf("\"result\":\"%s\",\"exit\":%d}\n", result[code], code);
	if (!opt.json)
		fprintf(stderr, "release_fence: %s%s%s\n", result[code],
			*seen.reason ? ": " : "", seen.reason);
	fflush(stdout);
	_exit(code);	/* not exit(): the observer may still be in an ioctl */
}

void stop_with(enum verdict code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(seen.reason, sizeof(seen.reason), fmt, ap);
	va_end(ap);
	finish(code);
}

void must(int result, const char *what)
{
	if (result < 0)
		stop_with(CANNOT_RUN, "%s: %s", what, strerror(errno));
}

static void on_alarm(int sig)
{
	static const char wrong[] = "{\"probe\":\"release_fence\",\"reason\":\"hung with a "
		"pending fence\",\"result\":\"wrong\",\"exit\":2}\n";
	static const char hung[] = "{\"probe\":\"release_fence\",\"reason\":\"hung before a "
		"fence was seen\",\"result\":\"cannot-run\",\"exit\":3}\n";
	int pending = atomic_load(&ever_pending);
	ssize_t n = pending ? write(1, wrong, sizeof(wrong) - 1) : write(1, hung, sizeof(hung) - 1);

	(void)n;
	(void)sig;
	_exit(pending ? WRONG : CANNOT_RUN);
}

/* Compare what the observer saw with the job; does not return if it is wrong. */
static void judge(const struct watch *w, int64_t t_start, int64_t t_done, int failed)
{
	int64_t early = t_done - w->t_signal, job = w->t_signal - t_start;
	int64_t length = opt.transtime * 1000LL;

	if (w->error == ENOTTY)
		stop_with(CANNOT_RUN, "this kernel has no CONFIG_SYNC_FILE");
	if (w->error)
		stop_with(CANNOT_RUN, "DMA_BUF_IOCTL_EXPORT_SYNC_FILE: %s", strerror(w->error));
	if (!atomic_load(&w->pending)) {
		/* A job that a stalled host made this short may escape notice. */
		if (t_done - t_start >= length / 2)
			seen.missing++;
		return;
	}

	seen.pending++;
	seen.poll_blocked += w->poll_blocked;
	snprintf(seen.fence_driver, sizeof(seen.fence_driver), "%s", w->name);
	snprintf(seen.timeline, sizeof(seen.timeline), "%s", w->timeline);
	if (seen.pending == 1)
		seen.pending_us = w->t_pending - t_start;
	if (!w->signalled)
		stop_with(WRONG, "never signalled within %d ms", opt.transtime + opt.deadline);
	seen.signalled++;
	if (!seen.job_min_us || job < seen.job_min_us)
		seen.job_min_us = job;
	if (job > seen.job_max_us)
		seen.job_max_us = job;
	if (early > seen.before_us)
		seen.before_us = early;
	if (-early > seen.after_us)
		seen.after_us = -early;

	if (failed ? w->status >= 0 : w->status != 1)
		stop_with(WRONG, "status %d for a buffer that %s", w->status,
			  failed ? "failed" : "is good");
	/*
	 * Neither of the two alone: a busy host holds up this thread, and a stalled
	 * virtual CPU catches up on its jiffies, which makes a timer fire early.
	 */
	if (seen.slow && job < length - EARLY_SLACK_US &&
	    early > EARLY_GAP_US && early > length / 4)
		stop_with(WRONG, "signalled after %lld us of a %d ms job", (long long)job,
			  opt.transtime);
	if (!seen.slow && early > UNKNOWN_GAP_US)
		stop_with(WRONG, "signalled %lld us before the buffer", (long long)early);
	if (-early > LATE_SLACK_US)
		stop_with(WRONG, "signalled %lld us after the buffer", (long long)-early);
	if (w->other_missing)
		stop_with(WRONG, "the second dma-buf of the buffer has no fence");
	if (w->poll_early)
		stop_with(WRONG, "poll() on the dma-buf was ready while the fence was pending");
	if (!w->poll_ready)
		stop_with(WRONG, "poll() on the dma-buf was not ready after the signal");
}

/* One job, from queueing its buffers to having them back. */
static void run_job(const struct queue *out, const struct queue *cap, uint32_t index,
		    int dmabufs[][VIDEO_MAX_PLANES], int second, int cancel)
{
	struct watch w = {
		.dmabuf = { dmabufs[index][0], second },
		.limit_ms = opt.transtime + opt.deadline,
	};
	struct timespec tick = { .tv_nsec = 1000000 };
	int64_t t_start, t_done, limit;
	uint32_t flags = 0;
	pthread_t thread;

	if (pthread_create(&thread, NULL, observe, &w))
		stop_with(CANNOT_RUN, "cannot start a thread");

	queue_buffer(cap, index, dmabufs[index]);
	t_start = now_us();
	queue_buffer(out, 0, NULL);
	if (cancel) {
		limit = now_us() + opt.transtime * 1000LL / 2;
		while (!atomic_load(&w.pending) && now_us() < limit)
			nanosleep(&tick, NULL);
		stream(cap, VIDIOC_STREAMOFF, "VIDIOC_STREAMOFF");
	} else {
		flags = dequeue_buffer(cap, w.limit_ms);
	}
	t_done = now_us();
	if (!cancel)
		dequeue_buffer(out, w.limit_ms);

	atomic_store(&w.stop, 1);
	pthread_join(thread, NULL);
	if (cancel && w.signalled) {
		/* Whether the job was cut short is up to the driver. */
		seen.cancelled++;
		if (w.t_signal > t_done + LATE_SLACK_US)
			stop_with(WRONG, "signalled after VIDIOC_STREAMOFF");
	} else {
		judge(&w, t_start, t_done, flags & V4L2_BUF_FLAG_ERROR);
	}
}

static void options(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++) {
		const char *o = argv[i], *v = i + 1 < argc ? argv[i + 1] : NULL;
		int *number = NULL;

		if (!strcmp(o, "--json") || !strcmp(o, "--import") || !strcmp(o, "--cancel")) {
			if (!strcmp(o, "--json"))
				opt.json = 1;
			else if (!strcmp(o, "--import"))
				opt.import = 1;
			else
				opt.cancel = 1;
			continue;
		}
		if (!strcmp(o, "--transtime"))
			number = &opt.transtime;
		else if (!strcmp(o, "--frames"))
			number = &opt.frames;
		else if (!strcmp(o, "--deadline"))
			number = &opt.deadline;
		else if (strcmp(o, "--device") && strcmp(o, "--driver"))
			stop_with(CANNOT_RUN, "unknown option %.40s", o);
		if (!v)
			stop_with(CANNOT_RUN, "%s needs a value", o);
		i++;
		if (!strcmp(o, "--device"))
			opt.device = v;
		else if (!strcmp(o, "--driver"))
			opt.driver = v;
		if (!number)
			continue;
		*number = atoi(v);
		if (*number < 1 || *number > 10000)
			stop_with(CANNOT_RUN, "%s needs a number from 1 to 10000", o);
	}
}

int main(int argc, char **argv)
{
	struct v4l2_queryctrl ctrl = { .id = CID_TRANSTIME };
	struct v4l2_control value = { .id = CID_TRANSTIME };
	int dmabufs[BUFS][VIDEO_MAX_PLANES], second[BUFS];
	struct queue out = { .memory = V4L2_MEMORY_MMAP };
	struct queue cap, owner;
	int i, fd;
	uint32_t p;

	options(argc, argv);
	fd = opt.device ? open_device(&seen.dev, opt.device, NULL) :
			  find_device(&seen.dev, opt.driver);
	if (fd < 0)
		stop_with(CANNOT_RUN, "%s %.80s is no mem2mem device that takes raw frames",
			  opt.device ? "device" : "driver", opt.device ? opt.device : opt.driver);

	seen.slow = !strcmp(seen.dev.driver, "vim2m") && xioctl(fd, VIDIOC_QUERYCTRL, &ctrl) == 0;
	if (seen.slow) {
		value.value = opt.transtime;
		must(xioctl(fd, VIDIOC_S_CTRL, &value), "VIDIOC_S_CTRL");
	}
	signal(SIGALRM, on_alarm);
	alarm(20 + opt.deadline / 1000 +
	      (unsigned int)((opt.frames + 1LL) * (opt.transtime + 2000) / 1000));

	out.fd = fd;
	out.type = seen.dev.out_type;
	cap = out;
	cap.type = seen.dev.cap_type;
	set_format(&out, seen.slow);
	set_format(&cap, seen.slow);
	request_buffers(&out, 1);

	/* With --import another handle of the device owns the memory. */
	owner = cap;
	if (opt.import) {
		struct queue owner_out = out;

		owner.fd = owner_out.fd = open(seen.dev.path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		must(owner.fd, seen.dev.path);
		set_format(&owner_out, seen.slow);
		set_format(&owner, seen.slow);
		cap.memory = V4L2_MEMORY_DMABUF;
		request_buffers(&cap, BUFS);
	}
	request_buffers(&owner, BUFS);
	for (i = 0; i < BUFS; i++) {
		for (p = 0; p < cap.planes; p++)
			dmabufs[i][p] = export_buffer(&owner, (uint32_t)i, p);
		second[i] = export_buffer(&owner, (uint32_t)i, cap.planes - 1);
	}

	stream(&out, VIDIOC_STREAMON, "VIDIOC_STREAMON");
	stream(&cap, VIDIOC_STREAMON, "VIDIOC_STREAMON");
	for (i = 0; i < opt.frames; i++) {
		run_job(&out, &cap, (uint32_t)i % BUFS, dmabufs, second[i % BUFS], 0);
		seen.frames++;
	}
	if (opt.cancel)
		run_job(&out, &cap, 0, dmabufs, second[0], 1);
	stream(&cap, VIDIOC_STREAMOFF, "VIDIOC_STREAMOFF");
	stream(&out, VIDIOC_STREAMOFF, "VIDIOC_STREAMOFF");

	if (!seen.pending)
		stop_with(NO_FENCE, "no pending fence was seen");
	if (seen.slow && seen.missing)
		stop_with(WRONG, "no fence for %d of %d frames", seen.missing, seen.frames);
	finish(OK);
}
