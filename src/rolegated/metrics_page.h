/* metrics_page: GET /metrics, in Prometheus's text format 0.0.4. */
#pragma once

#include "core/session_pool.h"
#include "rolegated/recorder.h"

#define METRICS_PAGE_TYPE "text/plain; version=0.0.4"

/* metrics_page_print(recorder, pool, out): append the page. */
void metrics_page_print(const struct recorder *recorder, struct session_pool *pool,
			struct buf *out);
