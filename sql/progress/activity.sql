-- What happened: the activity log, partitioned by month.
--
-- Key and index belong to each partition, and the whole has none. pg_dump restores the extension, attaches the monthly
-- partitions and makes their indexes last, which fails where attaching had made the same ones after the whole's.

CREATE TABLE sync_activity_log (
    org_id uuid NOT NULL DEFAULT sync_current_org(),
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    sync_id text,
    entity_type text,
    activity_type text NOT NULL,
    status text,
    details jsonb NOT NULL DEFAULT '{}',
    error_message text,
    record_count int,
    duration_seconds double precision,
    user_id text DEFAULT nullif(current_setting('app.current_user_id', true), ''),
    created_at timestamptz NOT NULL DEFAULT now()
) PARTITION BY RANGE (created_at);
COMMENT ON COLUMN sync_activity_log.status IS
    'Of a run: completed; completed_with_errors (some records failed); failed (all did, or the run itself); '
    'timeout (the call''s time was over); cancelled. Apps may write others.';
COMMENT ON COLUMN sync_activity_log.activity_type IS
    'pull, preview, apply, delta, full, scheduled, probe, webhook: one row for each run of a worker; '
    'undo, select, invalidate_preview, reset: calls; sync_completed: a progress row of an app that has ended.';
COMMENT ON COLUMN sync_activity_log.error_message IS 'Why the run failed, or how many of its records did, with the reason of one.';
COMMENT ON TABLE sync_activity_log IS
    'What happened, by month (sync_activity_log_YYYY_MM). Partitions are made ahead and dropped after '
    'sync_ext.activity_retention by sync_maintain().';

-- One spelling everywhere, whoever writes: what is counted by entity type would else be counted apart.
CREATE FUNCTION sync_entity_spelling(entity_type text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT coalesce((SELECT e.name FROM sync_entity e
                     WHERE lower(btrim(sync_entity_spelling.entity_type)) IN (e.name, e.singular)), entity_type)
$$;
COMMENT ON FUNCTION sync_entity_spelling(text) IS
    'The plural name of an entity type, which may be given in the singular; any other text as it is.';

CREATE FUNCTION sync_activity_tidy() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    NEW.entity_type := sync_entity_spelling(NEW.entity_type);
    NEW.details := coalesce(NEW.details, '{}');
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION sync_activity_tidy() IS 'Trigger: entity types in the plural, and no details are {}.';
CREATE TRIGGER sync_activity_tidy BEFORE INSERT OR UPDATE ON sync_activity_log FOR EACH ROW EXECUTE FUNCTION sync_activity_tidy();

-- What calls do that no worker notes.
CREATE FUNCTION sync_log(org uuid, activity text, entity_type text, details jsonb, records bigint DEFAULT NULL) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    INSERT INTO sync_activity_log (org_id, sync_id, entity_type, activity_type, status, details, record_count)
    VALUES (org, gen_random_uuid()::text, sync_log.entity_type, activity, 'completed', sync_log.details, sync_count(records))
$$;
COMMENT ON FUNCTION sync_log(uuid, text, text, jsonb, bigint) IS 'Enters what a call has done into the activity log.';

-- no insert ever fails for want of a partition
CREATE TABLE sync_activity_log_default PARTITION OF sync_activity_log (PRIMARY KEY (org_id, id)) DEFAULT;
CREATE INDEX sync_activity_log_default_recent ON sync_activity_log_default (org_id, created_at DESC);
COMMENT ON TABLE sync_activity_log_default IS 'Entries of months that have no partition of their own.';

-- Monthly partitions are made at run time and are no members of the extension: pg_dump carries them like
-- any table, so a dump of this month can be restored next year.
CREATE FUNCTION sync_make_activity_partition(month date) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    low timestamptz := date_trunc('month', month::timestamp) AT TIME ZONE 'UTC';
    high timestamptz := (date_trunc('month', month::timestamp) + interval '1 month') AT TIME ZONE 'UTC';
    part text := 'sync_activity_log_' || to_char(month, 'YYYY_MM');
    given text;
BEGIN
    IF to_regclass(format('%s.%I', '@extschema@', part)) IS NOT NULL THEN
        RETURN false;
    END IF;
    -- Nobody may write entries of that month there between the move and the attaching. The whole first: an INSERT that
    -- has chosen the default partition already, and waits for its lock only, would fail once that is no longer its place.
    LOCK TABLE ONLY sync_activity_log IN SHARE ROW EXCLUSIVE MODE;
    LOCK TABLE sync_activity_log_default IN ACCESS EXCLUSIVE MODE;
    EXECUTE format('CREATE TABLE %s.%I (LIKE %s.sync_activity_log INCLUDING DEFAULTS INCLUDING CONSTRAINTS)',
                   '@extschema@', part, '@extschema@');
    -- entries that the default partition has taken in meanwhile would forbid the new one: they move
    EXECUTE format('WITH moved AS (DELETE FROM sync_activity_log_default d WHERE d.created_at >= %L AND d.created_at < %L RETURNING d.*)
                    INSERT INTO %s.%I SELECT * FROM moved', low, high, '@extschema@', part);
    EXECUTE format('ALTER TABLE %s.%I ADD PRIMARY KEY (org_id, id)', '@extschema@', part);
    EXECUTE format('CREATE INDEX %I ON %s.%I (org_id, created_at DESC)', part || '_recent', '@extschema@', part);
    EXECUTE format('ALTER TABLE %s.%I ENABLE ROW LEVEL SECURITY', '@extschema@', part);
    -- what default privileges give away: TRUNCATE asks no policy
    FOR given IN
        SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END
        FROM pg_class c, aclexplode(c.relacl) a
        WHERE c.oid = to_regclass(format('%s.%I', '@extschema@', part)) AND a.grantee <> c.relowner
    LOOP
        EXECUTE format('REVOKE ALL ON TABLE %s.%I FROM %s', '@extschema@', part, given);
    END LOOP;
    EXECUTE format('COMMENT ON TABLE %s.%I IS %L', '@extschema@', part, 'Activity of ' || to_char(month, 'YYYY-MM') || ' (UTC).');
    EXECUTE format('ALTER TABLE %s.sync_activity_log ATTACH PARTITION %s.%I FOR VALUES FROM (%L) TO (%L)',
                   '@extschema@', '@extschema@', part, low, high);
    RETURN true;
END
$$;
COMMENT ON FUNCTION sync_make_activity_partition(date) IS
    'Makes the partition of a month (UTC), taking over what the default partition holds of it; false when it exists.';

CREATE FUNCTION sync_roll_activity(keep interval) RETURNS jsonb
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp SET lock_timeout = '500ms'
AS $$
DECLARE
    today date := (now() AT TIME ZONE 'UTC')::date;
    oldest text := 'sync_activity_log_' || to_char((now() AT TIME ZONE 'UTC') - keep, 'YYYY_MM');
    made int := 0;
    dropped int := 0;
    old_rows bigint;
    part text;
    ahead int;
BEGIN
    -- one at a time; whoever comes second finds the work done
    PERFORM sync_hold('sync_ext:activity');
    FOR ahead IN 0..2 LOOP
        made := made + sync_make_activity_partition((today + make_interval(months => ahead))::date)::int;
    END LOOP;
    FOR part IN
        SELECT c.relname FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid
        WHERE h.inhparent = to_regclass(format('%s.sync_activity_log', '@extschema@'))
          AND c.relname ~ '^sync_activity_log_[0-9]{4}_[0-9]{2}$' AND c.relname < oldest
    LOOP
        EXECUTE format('DROP TABLE %s.%I', '@extschema@', part);
        dropped := dropped + 1;
    END LOOP;
    DELETE FROM sync_activity_log_default d WHERE d.created_at < now() - keep;
    GET DIAGNOSTICS old_rows = ROW_COUNT;
    RETURN jsonb_build_object('partitionsMade', made, 'partitionsDropped', dropped, 'rowsDeleted', old_rows);
EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
    -- somebody's open transaction has written to the log: nothing is urgent, the default partition takes what comes
    RETURN jsonb_build_object('partitionsMade', 0, 'partitionsDropped', 0, 'rowsDeleted', 0, 'busy', true);
END
$$;
COMMENT ON FUNCTION sync_roll_activity(interval) IS
    'Makes the partitions of this month and the next two, drops those older than the interval. '
    'Does nothing (busy: true) while another transaction is in the way.';

-- It locks the log against everybody where it makes or drops partitions, so it is for workers, whose transaction is short.
CREATE FUNCTION sync_keep_house() RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    caller oid := sync_caller(); -- loads the library, and with it the settings
    keep interval := current_setting('sync_ext.activity_retention')::interval;
    done jsonb := sync_roll_activity(keep);
    runs bigint;
    history bigint;
BEGIN
    PERFORM sync_drop_unbound();
    PERFORM sync_note_interrupted(o.org_id)
    FROM (SELECT DISTINCT r.org_id FROM sync_run r WHERE r.status = 'running') o;
    -- an app that has ended without a word; what is paused is meant to wait
    UPDATE sync_progress p SET status = 'interrupted'
    WHERE p.completed_at IS NULL AND NOT p.is_run AND p.status IN ('running', 'pending') AND p.updated_at < now() - interval '1 day';
    DELETE FROM sync_run r WHERE r.status <> 'running' AND r.started_at < now() - least(keep, interval '30 days');
    GET DIAGNOSTICS runs = ROW_COUNT;
    DELETE FROM sync_webhook_delivery w WHERE w.received_at < now() - least(keep, interval '30 days');
    DELETE FROM sync_history h WHERE h.created_at < now() - current_setting('sync_ext.history_retention')::interval;
    GET DIAGNOSTICS history = ROW_COUNT;
    -- what nobody saw the end of stays: its item may come back
    DELETE FROM sync_idempotency_log i
    WHERE i.created_at < now() - current_setting('sync_ext.history_retention')::interval AND i.state <> 'intended';
    RETURN done || jsonb_build_object('runsDeleted', runs, 'historyDeleted', history);
END
$$;
COMMENT ON FUNCTION sync_keep_house() IS
    'Rolls the partitions of the activity log and deletes what is older than sync_ext.activity_retention, '
    'and history older than sync_ext.history_retention; marks what a crash left in progress, '
    'and progress of apps that has been silent for a day. What workers do after each run, and for sync_maintain().';
