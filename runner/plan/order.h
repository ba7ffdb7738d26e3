#pragma once

/* The ordering part of planning: fills plan->steps from its hosts, images and containers. Pure. */

struct plan;

void plan_order_steps(struct plan *plan);
