/*
 * tune_svg: see tune_svg.h. The x axis is logarithmic, as the sizes are; y begins at 0 on both sides. SVG 1.1 in one file, no script.
 *
 *      LEFT                      WIDTH - RIGHT
 *   TOP  |  tasks/s                     p99  |
 *        |      o--o--o--o                   |
 *        |   o    . . . . . . .              |
 *        +-----------------------------------+  HEIGHT - BOTTOM
 *           1   2   4   8
 */
#include "client/tune_svg.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"

#define WIDTH  760
#define HEIGHT 440
#define LEFT   70
#define RIGHT  70
#define TOP    70
#define BOTTOM 50
#define TICKS  5
#define ROOM   1.1 /* above the highest value */

struct plot {
	struct buf *out;
	const struct tune *tune;
	double from, to; /* binary logarithms of the sizes at the edges */
	double per_s_max, p99_max_us;
	int r; /* the first error; nothing is written after it */
};

static const char head[] =
	"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 760 440\" width=\"760\" "
	"height=\"440\">\n"
	"<style>text{font:13px sans-serif;fill:#333}.r{text-anchor:end}.m{text-anchor:middle}"
	".axis{stroke:#999;fill:none}.rate{stroke:#1f5fa8;fill:none;stroke-width:2}"
	".dot{fill:#1f5fa8}.coarse{fill:none;stroke:#1f5fa8;opacity:.5}"
	".p99{stroke:#b5541c;fill:none;stroke-dasharray:5 4}.tp99{fill:#b5541c}"
	".trate{fill:#1f5fa8}.use{stroke:#2a7d3f;stroke-width:2}.tuse{fill:#2a7d3f}</style>\n"
	"<rect width=\"760\" height=\"440\" fill=\"#fff\"/>\n";

#define WRITE(plot, ...)                                                                           \
	do {                                                                                       \
		if ((plot)->r == 0)                                                                \
			(plot)->r = buf_printf((plot)->out, __VA_ARGS__);                          \
	} while (0)

static double x_of(const struct plot *plot, uint32_t workers)
{
	double span = plot->to > plot->from ? plot->to - plot->from : 1;

	return LEFT + (log2(workers) - plot->from) / span * (WIDTH - LEFT - RIGHT);
}

/* value: 0 to `max`. */
static double y_of(double value, double max)
{
	double part = max > 0 ? value / max : 0;

	return HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM);
}

static void write_escaped(struct plot *plot, const char *text)
{
	static const struct {
		char c;
		const char *entity;
	} entities[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}};

	for (; *text; text++) {
		const char *entity = NULL;
		for (size_t i = 0; i < ARRAY_SIZE(entities); i++) {
			if (*text == entities[i].c)
				entity = entities[i].entity;
		}
		/* XML has no control characters. */
		if (entity)
			WRITE(plot, "%s", entity);
		else
			WRITE(plot, "%c", (unsigned char)*text < ' ' ? ' ' : *text);
	}
}

/* The least "round" step (1, 2 or 5 times a power of ten) of which at most TICKS fit. */
static double step_of(double max)
{
	double power = pow(10, floor(log10(max / TICKS)));

	for (double step = power;; step *= 10) {
		const double steps[] = {step, 2 * step, 5 * step};
		for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
			if (max / steps[i] <= TICKS)
				return steps[i];
		}
	}
}

static void write_axes(struct plot *plot)
{
	double p99_max = plot->p99_max_us / (double)US_PER_MS;

	WRITE(plot, "<path class=\"axis\" d=\"M%d %dV%dH%dV%d\"/>\n", LEFT, TOP, HEIGHT - BOTTOM,
		WIDTH - RIGHT, TOP);
	WRITE(plot, "<text class=\"trate r\" x=\"%d\" y=\"%d\">tasks/s</text>\n", LEFT - 8,
		TOP - 12);
	WRITE(plot, "<text class=\"tp99\" x=\"%d\" y=\"%d\">p99, ms</text>\n", WIDTH - RIGHT + 8,
		TOP - 12);
	WRITE(plot, "<text class=\"m\" x=\"%d\" y=\"%d\">workers</text>\n", WIDTH / 2, HEIGHT - 10);
	for (double v = 0; plot->per_s_max > 0 && v <= plot->per_s_max;
		v += step_of(plot->per_s_max))
		WRITE(plot, "<text class=\"trate r\" x=\"%d\" y=\"%.1f\">%g</text>\n", LEFT - 8,
			y_of(v, plot->per_s_max) + 4, v);
	for (double v = 0; p99_max > 0 && v <= p99_max; v += step_of(p99_max))
		WRITE(plot, "<text class=\"tp99\" x=\"%d\" y=\"%.1f\">%g</text>\n",
			WIDTH - RIGHT + 8, y_of(v, p99_max) + 4, v);
	for (uint32_t workers = 1; log2(workers) <= plot->to; workers *= 2) {
		if (log2(workers) >= plot->from)
			WRITE(plot, "<text class=\"m\" x=\"%.1f\" y=\"%d\">%u</text>\n",
				x_of(plot, workers), HEIGHT - BOTTOM + 18, workers);
	}
}

static void write_rates(struct plot *plot)
{
	const struct tune *tune = plot->tune;

	WRITE(plot, "<polyline class=\"rate\" points=\"");
	for (size_t i = 0; i < tune->n_points; i++)
		WRITE(plot, "%.1f,%.1f ", x_of(plot, tune->points[i].workers),
			y_of(tune->points[i].mean, plot->per_s_max));
	WRITE(plot, "\"/>\n");
	for (size_t i = 0; i < tune->n_points; i++) {
		const struct tune_point *point = &tune->points[i];
		double x = x_of(plot, point->workers);
		double low = point->mean > point->error ? point->mean - point->error : 0;

		WRITE(plot, "<path class=\"rate\" d=\"M%.1f %.1fV%.1f\"/>", x,
			y_of(low, plot->per_s_max),
			y_of(point->mean + point->error, plot->per_s_max));
		WRITE(plot,
			"<circle class=\"dot\" cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\"><title>%u "
			"workers: "
			"%.1f tasks/s</title></circle>\n",
			x, y_of(point->mean, plot->per_s_max), point->workers, point->mean);
	}
	for (size_t i = 0; i < tune->n_coarse; i++)
		WRITE(plot, "<circle class=\"coarse\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"/>\n",
			x_of(plot, tune->coarse[i].workers),
			y_of(tune->coarse[i].mean, plot->per_s_max));
}

static void write_p99(struct plot *plot)
{
	const struct tune *tune = plot->tune;

	WRITE(plot, "<polyline class=\"p99\" points=\"");
	for (size_t i = 0; i < tune->n_points; i++)
		WRITE(plot, "%.1f,%.1f ", x_of(plot, tune->points[i].workers),
			y_of((double)tune->points[i].p99_us, plot->p99_max_us));
	WRITE(plot, "\"/>\n");
}

static void write_use(struct plot *plot)
{
	uint32_t workers = plot->tune->points[plot->tune->chosen].workers;
	double x = x_of(plot, workers);

	if (!tune_is_found(plot->tune))
		return;
	WRITE(plot, "<path class=\"use\" d=\"M%.1f %dV%d\"/>\n", x, TOP, HEIGHT - BOTTOM);
	/* Beside the line, on the side where there is room. */
	bool is_left = x > (double)WIDTH / 2;
	WRITE(plot, "<text class=\"tuse%s\" x=\"%.1f\" y=\"%d\">use %u</text>\n",
		is_left ? " r" : "", is_left ? x - 6 : x + 6, HEIGHT - BOTTOM - 10, workers);
}

static void take_point(struct plot *plot, const struct tune_point *point)
{
	double at = log2(point->workers), per_s = (point->mean + point->error) * ROOM;
	double p99_us = (double)point->p99_us * ROOM;

	plot->from = at < plot->from ? at : plot->from;
	plot->to = at > plot->to ? at : plot->to;
	plot->per_s_max = per_s > plot->per_s_max ? per_s : plot->per_s_max;
	plot->p99_max_us = p99_us > plot->p99_max_us ? p99_us : plot->p99_max_us;
}

int tune_svg_append(struct buf *out, const struct tune *tune, const char *title)
{
	struct plot plot = {.out = out, .tune = tune, .from = log2(tune->points[0].workers)};

	for (size_t i = 0; i < tune->n_points; i++)
		take_point(&plot, &tune->points[i]);
	for (size_t i = 0; i < tune->n_coarse; i++)
		take_point(&plot, &tune->coarse[i]);
	plot.r = buf_append(out, head, sizeof(head) - 1);
	WRITE(&plot, "<title>");
	write_escaped(&plot, title);
	WRITE(&plot, "</title>\n<text x=\"%d\" y=\"28\">", LEFT - 40);
	write_escaped(&plot, title);
	WRITE(&plot, "</text>\n");
	write_axes(&plot);
	write_p99(&plot);
	write_rates(&plot);
	write_use(&plot);
	WRITE(&plot, "</svg>\n");
	return plot.r;
}
