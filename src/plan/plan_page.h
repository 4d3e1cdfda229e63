/* plan_page.h: answers of the planner as one self-contained page with pictures: memory, the pipeline's time line,
 * scaling, roofline, power over the day, costs, and what moves the answer (report/page.h). */
#ifndef PLAN_PLAN_PAGE_H
#define PLAN_PLAN_PAGE_H

#include "plan/scenario_text.h"
#include "report/page.h"

/* The whole page, from begin to end. title NULL: that of the scenarios. The page remembers a failure. */
void plan_page_write(struct page *p, const char *title, const struct scenario_told *rows, int n);

#endif
