-- Bounds of what apps write, checked when it is written: one odd value would fail the batch that comes across it, or the list of
-- a whole organisation. Each constraint is named for its bound, which is what a client is shown of it.
-- Logs are read by their time and deleted by it: what happened at no time is never old, counts as of the last month, and has no age
-- (now() - created_at fails for all rows). Years of more digits, or before the first, are no dates to workers and most clients.
-- Those of sync_progress are in its trigger, which would meet such values before. error_message has none: runs write what they
-- were told.

DO $$
DECLARE
    c record;
    bound text;
    term text;
    longest int;
BEGIN
    FOR c IN
        SELECT a.attrelid::regclass AS relation, a.attname AS name, a.atttypid::regtype::text AS type
        FROM unnest('{sync_preview_cache,sync_selective_config,sync_activity_log,sync_history,'
                    'sync_list,saved_search_patterns}'::regclass[]) r (oid)
        JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE a.attname <> 'error_message'
        ORDER BY a.attrelid, a.attnum
    LOOP
        CASE c.type
            WHEN 'text' THEN
                longest := CASE c.name WHEN 'description' THEN 10000 ELSE 255 END;
                bound := format('%s_up_to_%s_characters', c.name, longest);
                term := format('length(%I) <= %s', c.name, longest);
            WHEN 'timestamp with time zone' THEN
                bound := c.name || '_in_years_1_to_9999';
                term := format('%I >= ''0001-01-01 00:00+00'' AND %1$I < ''10000-01-01 00:00+00''', c.name);
                -- a preview may be kept for good
                IF c.name = 'expires_at' THEN
                    bound := bound || '_or_infinity';
                    term := format('%s OR %I = ''infinity''', term, c.name);
                END IF;
            WHEN 'double precision' THEN
                -- of one that is no number, nor is the sum
                bound := c.name || '_is_finite';
                term := format('%I > ''-infinity'' AND %1$I < ''infinity''', c.name);
            WHEN 'jsonb' THEN
                -- what a preview shows of records stands some levels deeper in it, and is read by nobody else
                CONTINUE WHEN c.relation = 'sync_preview_cache'::regclass;
                bound := c.name || '_up_to_64_levels';
                term := format('sync_depth(%I) <= 64', c.name);
            WHEN 'text[]', 'integer[]' THEN
                bound := c.name || '_is_one_list_of_up_to_1000';
                term := format('array_ndims(%I) = 1 AND cardinality(%1$I) <= 1000 OR %1$I = ''{}''', c.name);
            ELSE
                CONTINUE;
        END CASE;
        CONTINUE WHEN EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.relation AND k.conname = bound);
        EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I CHECK (%s)', c.relation, bound, term);
    END LOOP;
END
$$;

ALTER TABLE sync_list
    ADD CONSTRAINT schedule_interval_up_to_10_years CHECK (schedule_interval <= '10 years'),
    ADD CONSTRAINT business_days_up_to_7 CHECK (cardinality(business_days) <= 7),
    ADD CONSTRAINT attempts_up_to_1000000 CHECK (attempts <= 1000000);

ALTER TABLE saved_search_patterns
    ADD CONSTRAINT filter_config_up_to_256_kb CHECK (pg_column_size(filter_config) <= 262144);

CREATE TRIGGER sync_metadata_tidy BEFORE INSERT OR UPDATE OF metadata ON sync_list FOR EACH ROW EXECUTE FUNCTION sync_metadata_tidy();

ALTER TABLE integration_connector
    ADD CONSTRAINT name_up_to_100_characters CHECK (length(name) <= 100);
