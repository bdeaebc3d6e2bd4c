// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * m2m_device.c - a V4L2 mem2mem device that takes raw frames, and its queues
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "fence_watch.h"
#include "m2m_device.h"
#include "verdict.h"

int xioctl(int fd, unsigned long request, void *arg)
{
	int r;

	do
		r = ioctl(fd, request, arg);
	while (r < 0 && errno == EINTR);
	return r;
}

static int is_mplane(uint32_t type)
{
	return type == V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE ||
	       type == V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE;
}

static int is_capture(uint32_t type)
{
	return type == V4L2_BUF_TYPE_VIDEO_CAPTURE ||
	       type == V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE;
}

int open_device(struct device *dev, const char *path, const char *driver)
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
	if (!(caps & (V4L2_CAP_VIDEO_M2M | V4L2_CAP_VIDEO_M2M_MPLANE)) ||
	    (driver && strcmp((char *)cap.driver, driver)))
		goto no;
	dev->out_type = V4L2_BUF_TYPE_VIDEO_OUTPUT;
	dev->cap_type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
	if (caps & V4L2_CAP_VIDEO_M2M_MPLANE) {
		dev->out_type = V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE;
		dev->cap_type = V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE;
	}
	fmt.type = dev->out_type;
	if (xioctl(fd, VIDIOC_ENUM_FMT, &fmt) < 0 || (fmt.flags & V4L2_FMT_FLAG_COMPRESSED))
		goto no;
	snprintf(dev->driver, sizeof(dev->driver), "%.16s", (char *)cap.driver);
	snprintf(dev->card, sizeof(dev->card), "%.32s", (char *)cap.card);
	snprintf(dev->path, sizeof(dev->path), "%s", path);
	return fd;
no:
	close(fd);
	return -1;
}

int find_device(struct device *dev, const char *driver)
{
	char path[32];
	int i, fd = -1;

	for (i = 0; fd < 0 && i < 256; i++) {
		snprintf(path, sizeof(path), "/dev/video%d", i);
		fd = open_device(dev, path, driver);
	}
	return fd;
}

/*
 * Keep the driver's formats. The frame is small where the job takes its time
 * anyway, and large where only its size can make the job slow.
 */
void set_format(struct queue *q, int slow)
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

void request_buffers(struct queue *q, uint32_t count)
{
	struct v4l2_requestbuffers r = { .count = count, .type = q->type, .memory = q->memory };

	must(xioctl(q->fd, VIDIOC_REQBUFS, &r), "VIDIOC_REQBUFS");
	if (r.count < count)
		stop_with(CANNOT_RUN, "only %u buffers", r.count);
}

int export_buffer(const struct queue *q, uint32_t index, uint32_t plane)
{
	struct v4l2_exportbuffer e = { .type = q->type, .index = index, .plane = plane,
				       .flags = O_RDWR | O_CLOEXEC };

	must(xioctl(q->fd, VIDIOC_EXPBUF, &e), "VIDIOC_EXPBUF");
	return e.fd;
}

void queue_buffer(const struct queue *q, uint32_t index, const int *dmabufs)
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

uint32_t dequeue_buffer(const struct queue *q, int limit_ms)
{
	struct v4l2_plane planes[VIDEO_MAX_PLANES] = { { 0 } };
	struct v4l2_buffer b = { .type = q->type, .memory = q->memory };
	struct pollfd p = { .fd = q->fd, .events = is_capture(q->type) ? POLLIN : POLLOUT };

	if (is_mplane(q->type)) {
		b.m.planes = planes;
		b.length = q->planes;
	}
	if (poll(&p, 1, limit_ms) != 1)
		stop_with(atomic_load(&ever_pending) ? WRONG : CANNOT_RUN,
			  "the job did not end within %d ms", limit_ms);
	must(xioctl(q->fd, VIDIOC_DQBUF, &b), "VIDIOC_DQBUF");
	return b.flags;
}

void stream(const struct queue *q, unsigned long request, const char *what)
{
	int type = (int)q->type;

	must(xioctl(q->fd, request, &type), what);
}
