// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * pixels - a raw video to code, and what decoding made of it
 *
 *   pixels make WIDTHxHEIGHT FRAMES FILE
 *   pixels compare WIDTHxHEIGHT FILE FILE [ERROR]
 *
 * Frames are planar YUV 4:2:0 (V4L2_PIX_FMT_YUV420), eight bits, one behind the
 * other; width and height are even. "make" draws a picture with smooth ramps,
 * hard edges and a square that moves, so that no two frames are the same and a
 * codec with references has something to refer to.
 *
 * "compare" fails unless both files hold the same number of whole frames, at
 * least one, and the mean square error of each frame is at most ERROR (default
 * 0: the same bytes). An error of 65 is 30 dB, 6.5 is 40 dB. A coded picture is
 * never the original: what is compared is whether it is this picture. It says
 * how many frames there were, and the worst.
 *
 * Exit codes: 0 as it should be, 1 not so, 2 it could not be found out.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct size {
	unsigned int width, height;
	size_t bytes;
};

static int read_size(const char *text, struct size *size)
{
	char end;

	if (sscanf(text, "%ux%u%c", &size->width, &size->height, &end) != 2 ||
	    !size->width || !size->height || size->width % 2 ||
	    size->height % 2 || size->width > 8192 || size->height > 8192) {
		fprintf(stderr, "%s: not a size: WIDTHxHEIGHT, both even\n", text);
		return -1;
	}
	size->bytes = (size_t)size->width * size->height * 3 / 2;
	return 0;
}

static int read_number(const char *text, unsigned long *number)
{
	char *end;

	errno = 0;
	*number = strtoul(text, &end, 10);
	if (errno || *end || end == text || text[0] == '-') {
		fprintf(stderr, "%s: not a number\n", text);
		return -1;
	}
	return 0;
}

static FILE *open_file(const char *path, const char *mode)
{
	FILE *file = fopen(path, mode);

	if (!file)
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
	return file;
}

static void draw(uint8_t *frame, const struct size *size, unsigned int number)
{
	unsigned int w = size->width, h = size->height, x, y;
	unsigned int left = number * 4 % w, top = number * 3 % h;
	uint8_t *u = frame + (size_t)w * h, *v = u + (size_t)w * h / 4;

	for (y = 0; y < h; y++)
		for (x = 0; x < w; x++) {
			int square = (x + w - left) % w < w / 4 &&
				     (y + h - top) % h < h / 4;

			frame[(size_t)y * w + x] = square ? 235 : 16 + 180 * x / w;
		}
	for (y = 0; y < h / 2; y++)
		for (x = 0; x < w / 2; x++) {
			u[(size_t)y * (w / 2) + x] = 64 + 128 * y / (h / 2);
			v[(size_t)y * (w / 2) + x] = 64 + (number * 5 + 128 * x / (w / 2)) % 128;
		}
}

static int make(const struct size *size, unsigned long frames, const char *path)
{
	FILE *file = open_file(path, "wb");
	uint8_t *frame = malloc(size->bytes);
	unsigned long number;
	int failed = !file || !frame;

	for (number = 0; !failed && number < frames; number++) {
		draw(frame, size, number);
		failed = fwrite(frame, size->bytes, 1, file) != 1;
	}
	free(frame);
	if (file && fclose(file))
		failed = 1;
	if (failed)
		fprintf(stderr, "%s: not written\n", path);
	return failed ? 2 : 0;
}

/* Hundredths of the mean square error. */
static uint64_t error_of(const uint8_t *a, const uint8_t *b, size_t bytes)
{
	uint64_t sum = 0;
	size_t at;

	for (at = 0; at < bytes; at++) {
		int difference = a[at] - b[at];

		sum += (uint64_t)(difference * difference);
	}
	return sum * 100 / bytes;
}

static int compare(const struct size *size, const char *one, const char *other,
		   unsigned long limit)
{
	FILE *a = open_file(one, "rb"), *b = open_file(other, "rb");
	uint8_t *frame = malloc(2 * size->bytes);
	uint64_t worst = 0;
	unsigned long frames = 0, at = 0;
	size_t got_a = 0, got_b = 0;

	if (!a || !b || !frame)
		return 2;
	for (;;) {
		uint64_t error;

		got_a = fread(frame, 1, size->bytes, a);
		got_b = fread(frame + size->bytes, 1, size->bytes, b);
		if (got_a != size->bytes || got_b != size->bytes)
			break;
		error = error_of(frame, frame + size->bytes, size->bytes);
		if (error > worst) {
			worst = error;
			at = frames;
		}
		frames++;
	}
	printf("%lu frames, mean square error %lu.%02lu at most, in frame %lu\n",
	       frames, (unsigned long)(worst / 100),
	       (unsigned long)(worst % 100), at);
	fclose(a);
	fclose(b);
	free(frame);
	if (got_a || got_b) {
		printf("%s ends before %s, or within a frame\n",
		       got_a < got_b ? one : other, got_a < got_b ? other : one);
		return 1;
	}
	if (!frames) {
		printf("there is no frame\n");
		return 1;
	}
	if (worst > limit * 100) {
		printf("that is another picture: %lu is allowed\n", limit);
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	unsigned long number = 0;
	struct size size;

	if (argc == 5 && !strcmp(argv[1], "make")) {
		if (read_size(argv[2], &size) || read_number(argv[3], &number))
			return 2;
		return make(&size, number, argv[4]);
	}
	if ((argc == 5 || argc == 6) && !strcmp(argv[1], "compare")) {
		if (read_size(argv[2], &size) ||
		    (argc == 6 && read_number(argv[5], &number)))
			return 2;
		return compare(&size, argv[3], argv[4], number);
	}
	fprintf(stderr, "pixels make WIDTHxHEIGHT FRAMES FILE\n"
		"pixels compare WIDTHxHEIGHT FILE FILE [ERROR]\n");
	return 2;
}
