/* The cost of rounds, learned, and the rows that follow from it. */
#include "serve/pace.h"

#include <stdbool.h>

#define STRETCH 3.3
#define KEPT 0.8     /* of what was known before, with each round */
#define ROWS_FIRST 8 /* while a cost is not known */
/* Kernels take rows by fours: one that is missing costs little, one that is left over
 * about half as much as four.  Of more than two tiles all are whole. */
#define TILE 4u
#define TILES_ANY 2

static void line_add(struct pace_line *line, double x, double y)
{
	line->n = line->n * KEPT + 1;
	line->x = line->x * KEPT + x;
	line->y = line->y * KEPT + y;
	line->xx = line->xx * KEPT + x * x;
	line->xy = line->xy * KEPT + x * y;
}

static bool line_known(const struct pace_line *line)
{
	return line->n > 0;
}

static double line_at(const struct pace_line *line, double x)
{
	double spread = line->n * line->xx - line->x * line->x;
	double mean = line->y / line->n, slope = 0, at;

	if (spread > line->n * line->n / 16) /* a quarter of a row, squared */
		slope = (line->n * line->xy - line->x * line->y) / spread;
	slope = slope < 0 ? 0 : slope;
	at = mean + slope * (x - line->x / line->n);
	return at < mean / 16 ? mean / 16 : at;
}

void pace_learn(struct pace *pace, uint32_t answers, uint32_t prompts, int64_t took_ns)
{
	double ns = (double)(took_ns > 0 ? took_ns : 1), beside = 0, row_ns;

	if (prompts == 0) {
		line_add(&pace->answers, answers, ns);
		return;
	}
	/* A round of prompts alone reads the weights as well. */
	if (line_known(&pace->answers))
		beside = line_at(&pace->answers, answers > 0 ? answers : 1);
	if (ns <= beside)
		return;
	row_ns = (ns - beside) / prompts;
	pace->prompt_ns =
	    pace->prompt_ns <= 0 ? row_ns : KEPT * pace->prompt_ns + (1 - KEPT) * row_ns;
}

static uint32_t by_tiles(uint32_t answers, uint32_t rows)
{
	uint32_t total = answers + rows, over = total % TILE;
	bool many = total > TILES_ANY * TILE;

	if (over == TILE - 1 || (many && over >= TILE / 2))
		return rows + TILE - over;
	return many && rows > over ? rows - over : rows;
}

uint32_t pace_rows(const struct pace *pace, uint32_t answers, uint32_t room)
{
	uint32_t rows = ROWS_FIRST;

	if (answers == 0 || room == 0)
		return room;
	if (line_known(&pace->answers) && pace->prompt_ns > 0) {
		double paced = (STRETCH - 1) * line_at(&pace->answers, answers) / pace->prompt_ns;

		if (paced >= room)
			return room;
		rows = by_tiles(answers, (uint32_t)paced);
	}
	rows = rows < 1 ? 1 : rows;
	return rows < room ? rows : room;
}
