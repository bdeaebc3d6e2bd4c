// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * release_fence - does a mem2mem device publish a release fence for the buffer
 * that it fills, and signal it with the buffer?
 *
 *   release_fence [--device /dev/videoN | --driver NAME] [--transtime MS]
 *                 [--frames N] [--deadline MS] [--import] [--cancel] [--json]
 *
 * For each frame it queues one CAPTURE buffer, whose memory it holds as two
 * separately exported dma-bufs, and one OUTPUT buffer, which starts the job. A
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
 *                    each frame, any other one for at least one frame
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
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <linux/dma-buf.h>
#include <linux/sync_file.h>
#include <linux/videodev2.h>

enum { OK = 0, NO_FENCE = 1, WRONG = 2, CANNOT_RUN = 3 };

#define BUFS 2			/* CAPTURE buffers, used in turn */
#define CID_TRANSTIME (V4L2_CID_USER_BASE + 0x1000) /* vim2m.c */
#define EARLY_SLACK_US 20000	/* a timer counts in jiffies: two at HZ=100 */
#define EARLY_GAP_US 500000	/* without a known job time: signal to DQBUF */
#define LATE_SLACK_US 20000	/* the fence may follow the buffer by this */

static struct {
	const char *device, *driver;
	int transtime, frames, deadline, import, cancel, json;
} opt = { .driver = "vim2m", .transtime = 200, .frames = 3, .deadline = 5000 };

/* One side of the device: a queue, its buffers and its format. */
struct queue {
	int fd;
	uint32_t type;
	uint32_t memory;
	uint32_t planes;
	uint32_t sizes[VIDEO_MAX_PLANES];
};

/* What the observer saw for one job. Times in µs of CLOCK_MONOTONIC. */
struct watch {
	int dmabuf[2];
	atomic_int stop, pending;
	int error;		/* errno of a failed ioctl */
	int other_missing;	/* the second dma-buf had no pending fence */
	int poll_blocked, poll_early, poll_ready;
	int signalled, status;
	int64_t t_pending, t_signal;
	char name[32], timeline[32];
};

/* What is printed; one run. */
static struct {
	char driver[17], card[33], device[64], fence_driver[32], timeline[32];
	char reason[200];
	int slow, frames, pending, signalled, poll_blocked, cancelled;
	int64_t pending_us, job_min_us, job_max_us, before_us, after_us;
} seen;

static atomic_int ever_pending;

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Text from the kernel or a command line, made safe for a JSON string. */
static void json_text(const char *key, const char *s)
{
	printf("\"%s\":\"", key);
	for (; *s; s++)
		putchar(*s < ' ' || *s > '~' || *s == '"' || *s == '\\' ? '?' : *s);
	printf("\",");
}

__attribute__((noreturn)) static void finish(int code)
{
	static const char *const result[] = { "ok", "no-fence", "wrong", "cannot-run" };

	printf("{\"probe\":\"release_fence\",");
	json_text("driver", seen.driver);
	json_text("card", seen.card);
	json_text("device", seen.device);
	json_text("memory", opt.import ? "dmabuf" : "mmap");
	printf("\"transtime_ms\":%d,", seen.slow ? opt.transtime : 0);
	printf("\"frames\":%d,\"pending_observed\":%d,\"signalled\":%d,",
	       seen.frames, seen.pending, seen.signalled);
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

__attribute__((noreturn, format(printf, 2, 3)))
static void stop_with(int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(seen.reason, sizeof(seen.reason), fmt, ap);
	va_end(ap);
	finish(code);
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

static int xioctl(int fd, unsigned long request, void *arg)
{
	int r;

	do
		r = ioctl(fd, request, arg);
	while (r < 0 && errno == EINTR);
	return r;
}

static void must(int r, const char *what)
{
	if (r < 0)
		stop_with(CANNOT_RUN, "%s: %s", what, strerror(errno));
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
	int limit = opt.transtime + opt.deadline, other, ready;
	struct sync_fence_info f;

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

	if (poll(&end, 1, limit) == 1) {
		w->status = fence_status(sync, &f);
		w->signalled = w->status != 0;
		w->t_signal = (int64_t)(f.timestamp_ns / 1000);
	}
	w->poll_ready = poll(&in, 1, 1000) == 1 && (in.revents & POLLIN);
}

static void *observe(void *arg)
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

static int is_mplane(uint32_t type)
{
	return type == V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE ||
	       type == V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE;
}

/* A mem2mem device of the wanted driver whose OUTPUT takes raw frames, or -1. */
static int try_device(const char *path, const char *driver, int *mplane)
{
	struct v4l2_fmtdesc fmt = { .index = 0 };
	struct v4l2_capability cap;
	uint32_t caps;
	int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -1;
	if (xioctl(fd, VIDIOC_QUERYCAP, &cap) < 0)
		goto no;
	caps = cap.capabilities & V4L2_CAP_DEVICE_CAPS ? cap.device_caps : cap.capabilities;
	*mplane = !!(caps & V4L2_CAP_VIDEO_M2M_MPLANE);
	if (!(caps & (V4L2_CAP_VIDEO_M2M | V4L2_CAP_VIDEO_M2M_MPLANE)) ||
	    (driver && strcmp((char *)cap.driver, driver)))
		goto no;
	fmt.type = *mplane ? V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE : V4L2_BUF_TYPE_VIDEO_OUTPUT;
	if (xioctl(fd, VIDIOC_ENUM_FMT, &fmt) < 0 || (fmt.flags & V4L2_FMT_FLAG_COMPRESSED))
		goto no;
	snprintf(seen.driver, sizeof(seen.driver), "%.16s", (char *)cap.driver);
	snprintf(seen.card, sizeof(seen.card), "%.32s", (char *)cap.card);
	snprintf(seen.device, sizeof(seen.device), "%s", path);
	return fd;
no:
	close(fd);
	return -1;
}

static int find_device(int *mplane)
{
	char path[32];
	int i, fd = -1;

	if (opt.device) {
		fd = try_device(opt.device, NULL, mplane);
		if (fd < 0)
			stop_with(CANNOT_RUN, "%.80s is no mem2mem device that takes raw frames",
				  opt.device);
	}
	for (i = 0; fd < 0 && i < 256; i++) {
		snprintf(path, sizeof(path), "/dev/video%d", i);
		fd = try_device(path, opt.driver, mplane);
	}
	if (fd < 0)
		stop_with(CANNOT_RUN, "no mem2mem device of driver %.16s that takes raw frames",
			  opt.driver);
	return fd;
}

/*
 * Keep the driver's formats. The frame is small where the job takes its time
 * anyway, and large where only its size can make the job slow.
 */
static void set_format(struct queue *q, int slow)
{
	uint32_t width = slow ? 640 : 1920, height = slow ? 480 : 1080, i;
	struct v4l2_format f = { .type = q->type };

	must(xioctl(q->fd, VIDIOC_G_FMT, &f), "VIDIOC_G_FMT");
	if (is_mplane(q->type)) {
		f.fmt.pix_mp.width = width;
		f.fmt.pix_mp.height = height;
		for (i = 0; i < VIDEO_MAX_PLANES; i++)
			f.fmt.pix_mp.plane_fmt[i].sizeimage = 0;
	} else {
		f.fmt.pix.width = width;
		f.fmt.pix.height = height;
		f.fmt.pix.sizeimage = 0;
	}
	must(xioctl(q->fd, VIDIOC_S_FMT, &f), "VIDIOC_S_FMT");
	q->planes = is_mplane(q->type) ? f.fmt.pix_mp.num_planes : 1;
	for (i = 0; i < q->planes; i++)
		q->sizes[i] = is_mplane(q->type) ? f.fmt.pix_mp.plane_fmt[i].sizeimage :
						   f.fmt.pix.sizeimage;
}

static void request_buffers(struct queue *q, uint32_t count)
{
	struct v4l2_requestbuffers r = { .count = count, .type = q->type, .memory = q->memory };

	must(xioctl(q->fd, VIDIOC_REQBUFS, &r), "VIDIOC_REQBUFS");
	if (r.count < count)
		stop_with(CANNOT_RUN, "only %u buffers", r.count);
}

static int export_buffer(const struct queue *q, uint32_t index, uint32_t plane)
{
	struct v4l2_exportbuffer e = { .type = q->type, .index = index, .plane = plane,
				       .flags = O_RDWR | O_CLOEXEC };

	must(xioctl(q->fd, VIDIOC_EXPBUF, &e), "VIDIOC_EXPBUF");
	return e.fd;
}

static void queue_buffer(const struct queue *q, uint32_t index, const int *dmabufs)
{
	struct v4l2_plane planes[VIDEO_MAX_PLANES] = { { 0 } };
	struct v4l2_buffer b = { .index = index, .type = q->type, .memory = q->memory };
	uint32_t i;

	for (i = 0; i < q->planes; i++) {
		planes[i].length = q->sizes[i];
		planes[i].bytesused = q->sizes[i];
		if (q->memory == V4L2_MEMORY_DMABUF)
			planes[i].m.fd = dmabufs[i];
	}
	if (is_mplane(q->type)) {
		b.m.planes = planes;
		b.length = q->planes;
	} else {
		b.length = planes[0].length;
		b.bytesused = planes[0].bytesused;
		b.m.fd = planes[0].m.fd;
	}
	must(xioctl(q->fd, VIDIOC_QBUF, &b), "VIDIOC_QBUF");
}

/* Wait for a buffer and take it; its flags. */
static uint32_t dequeue_buffer(const struct queue *q, short events)
{
	struct v4l2_plane planes[VIDEO_MAX_PLANES] = { { 0 } };
	struct v4l2_buffer b = { .type = q->type, .memory = q->memory };
	struct pollfd p = { .fd = q->fd, .events = events };

	if (is_mplane(q->type)) {
		b.m.planes = planes;
		b.length = q->planes;
	}
	if (poll(&p, 1, opt.transtime + opt.deadline) != 1)
		stop_with(atomic_load(&ever_pending) ? WRONG : CANNOT_RUN,
			  "the job did not end within %d ms", opt.transtime + opt.deadline);
	must(xioctl(q->fd, VIDIOC_DQBUF, &b), "VIDIOC_DQBUF");
	return b.flags;
}

static void stream(const struct queue *q, unsigned long request, const char *what)
{
	int type = (int)q->type;

	must(xioctl(q->fd, request, &type), what);
}

/* Compare what the observer saw with the job; does not return if it is wrong. */
static void judge(const struct watch *w, int64_t t_start, int64_t t_done, int failed)
{
	int64_t early = t_done - w->t_signal, job = w->t_signal - t_start;

	if (w->error == ENOTTY)
		stop_with(CANNOT_RUN, "this kernel has no CONFIG_SYNC_FILE");
	if (w->error)
		stop_with(CANNOT_RUN, "DMA_BUF_IOCTL_EXPORT_SYNC_FILE: %s", strerror(w->error));
	if (!atomic_load(&w->pending))
		return;

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
	if (seen.slow && job < opt.transtime * 1000LL - EARLY_SLACK_US)
		stop_with(WRONG, "signalled after %lld us of a %d ms job", (long long)job,
			  opt.transtime);
	if (!seen.slow && early > EARLY_GAP_US)
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
	struct watch w = { .dmabuf = { dmabufs[index][0], second } };
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
		flags = dequeue_buffer(cap, POLLIN);
	}
	t_done = now_us();
	if (!cancel)
		dequeue_buffer(out, POLLOUT);

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
			*(o[2] == 'j' ? &opt.json : o[2] == 'i' ? &opt.import : &opt.cancel) = 1;
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
		if (!number)
			*(o[4] == 'v' ? &opt.device : &opt.driver) = v;
		else if ((*number = atoi(v)) < 1 || *number > 10000)
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
	int i, fd, mplane = 0;
	uint32_t p;

	options(argc, argv);
	fd = find_device(&mplane);

	seen.slow = !strcmp(seen.driver, "vim2m") && xioctl(fd, VIDIOC_QUERYCTRL, &ctrl) == 0;
	if (seen.slow) {
		value.value = opt.transtime;
		must(xioctl(fd, VIDIOC_S_CTRL, &value), "VIDIOC_S_CTRL");
	}
	signal(SIGALRM, on_alarm);
	alarm(20 + opt.deadline / 1000 +
	      (unsigned int)((opt.frames + 1LL) * (opt.transtime + 2000) / 1000));

	out.fd = fd;
	out.type = mplane ? V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE : V4L2_BUF_TYPE_VIDEO_OUTPUT;
	cap = out;
	cap.type = mplane ? V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE : V4L2_BUF_TYPE_VIDEO_CAPTURE;
	set_format(&out, seen.slow);
	set_format(&cap, seen.slow);
	request_buffers(&out, 1);

	/* With --import another handle of the device owns the memory. */
	owner = cap;
	if (opt.import) {
		struct queue owner_out = out;

		owner.fd = owner_out.fd = open(seen.device, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		must(owner.fd, seen.device);
		set_format(&owner_out, seen.slow);
		set_format(&owner, seen.slow);
		cap.memory = V4L2_MEMORY_DMABUF;
		request_buffers(&cap, BUFS);
	}
	request_buffers(&owner, BUFS);
	for (i = 0; i < BUFS; i++) {
		for (p = 0; p < cap.planes; p++)
			dmabufs[i][p] = export_buffer(&owner, (uint32_t)i, p);
		second[i] = export_buffer(&owner, (uint32_t)i, 0);
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
	if (seen.slow && seen.pending != seen.frames)
		stop_with(WRONG, "a fence for %d of %d frames", seen.pending, seen.frames);
	finish(OK);
}
