/* plan_page_parts.h: the pictures of a page of the planner, by kind of scenario; for plan_page*.c only. */
#ifndef PLAN_PLAN_PAGE_PARTS_H
#define PLAN_PLAN_PAGE_PARTS_H

#include "plan/scenario.h"
#include "report/page.h"

void plan_page_train(struct page *p, const struct scenario_answer *a);
void plan_page_serve(struct page *p, const struct scenario_answer *a);

#endif
