// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * m2m_device.h - a V4L2 mem2mem device that takes raw frames, and its queues
 *
 * What fails here ends the run, see verdict.h.
 */
#ifndef M2M_DEVICE_H
#define M2M_DEVICE_H

#include <stdint.h>

#include <linux/videodev2.h>

struct device {
	char driver[17], card[33], path[64];
	uint32_t out_type, cap_type;	/* with or without MPLANE */
};

/* One side of an opened device: a queue and its format. */
struct queue {
	int fd;
	uint32_t type;
	uint32_t memory;
	uint32_t planes;
	uint32_t sizes[VIDEO_MAX_PLANES];
};

/*
 * Open @path if it is a mem2mem device, of this driver unless it is NULL, whose
 * first OUTPUT format is a raw one: any bytes are a frame then. -1 if it is not.
 */
int open_device(struct device *dev, const char *path, const char *driver);

/* The same for the first /dev/videoN of this driver. */
int find_device(struct device *dev, const char *driver);

/* A small frame if the job is slow by itself, a large one otherwise. */
void set_format(struct queue *q, int slow);

void request_buffers(struct queue *q, uint32_t count);

/* A new dma-buf of a plane of an MMAP buffer. */
int export_buffer(const struct queue *q, uint32_t index, uint32_t plane);

/* @dmabufs has one for each plane if the queue's memory is V4L2_MEMORY_DMABUF. */
void queue_buffer(const struct queue *q, uint32_t index, const int *dmabufs);

/* Wait for a buffer and take it; its V4L2_BUF_FLAG_*. */
uint32_t dequeue_buffer(const struct queue *q, int limit_ms);

/* VIDIOC_STREAMON or VIDIOC_STREAMOFF; @what is its name. */
void stream(const struct queue *q, unsigned long request, const char *what);

#endif
