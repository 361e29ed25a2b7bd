-- What can't be run again: columns, types, indexes, data; and drops of what can't be replaced.

-- Counts are int and durations double precision: drivers hand bigint and numeric over as text.
DROP VIEW sync_progress_live;
DROP VIEW sync_state;
DROP FUNCTION sync_list_add_from_pattern(uuid, text, text, text, text, int, interval);

-- What no int holds was nobody's count; parts of it still have to fit into their total.
ALTER TABLE sync_progress DISABLE TRIGGER USER;
UPDATE sync_progress
SET total_items = 2147483647, processed_count = least(processed_count, 700000000), failed_count = least(failed_count, 700000000),
    skipped_count = least(skipped_count, 700000000)
WHERE total_items > 2147483647;
ALTER TABLE sync_progress ENABLE TRIGGER USER;
ALTER TABLE sync_progress
    DROP CONSTRAINT sync_progress_counts,
    ALTER total_items TYPE int,
    ALTER processed_count TYPE int,
    ALTER failed_count TYPE int,
    ALTER skipped_count TYPE int,
    ALTER window_count TYPE int USING least(window_count, 2147483647),
    ALTER next_window_count TYPE int USING least(next_window_count, 2147483647),
    ALTER elapsed_seconds TYPE double precision,
    ALTER speed_items_per_min TYPE double precision,
    ALTER eta_seconds TYPE double precision,
    ALTER percent_complete TYPE double precision,
    ADD CONSTRAINT sync_progress_counts CHECK (processed_count::bigint + failed_count + skipped_count <= total_items);
ALTER TABLE sync_history
    ALTER items_processed TYPE int USING least(items_processed, 2147483647),
    ALTER items_created TYPE int USING least(items_created, 2147483647),
    ALTER items_updated TYPE int USING least(items_updated, 2147483647),
    ALTER items_deleted TYPE int USING least(items_deleted, 2147483647),
    ALTER items_failed TYPE int USING least(items_failed, 2147483647),
    ALTER duration_ms TYPE int USING least(duration_ms, 2147483647);
ALTER TABLE sync_activity_log
    ALTER record_count TYPE int USING greatest(least(record_count, 2147483647), -2147483647),
    ALTER duration_seconds TYPE double precision;
ALTER TABLE sync_metadata
    ALTER last_sync_count TYPE int USING least(last_sync_count, 2147483647),
    ALTER hidden_count TYPE int USING least(hidden_count, 2147483647);

-- What no listing shows is remembered, and what is missing and where windows don't meet is told with more.
ALTER TABLE sync_metadata ADD COLUMN unlisted jsonb NOT NULL DEFAULT '{}';
DROP FUNCTION sync_sweep_gaps(uuid, int, smallint);
DROP FUNCTION sync_missing(uuid, int, smallint, text[]);
