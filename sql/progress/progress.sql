-- How far it is: progress rows, written by workers and by apps alike.

CREATE TABLE sync_progress (
    org_id uuid NOT NULL DEFAULT sync_current_org(),
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    sync_id text NOT NULL,
    entity_type text NOT NULL,
    source_system text,
    status text NOT NULL DEFAULT 'running',
    phase text,
    total_items int NOT NULL CHECK (total_items >= 0),
    processed_count int NOT NULL DEFAULT 0 CHECK (processed_count >= 0),
    failed_count int NOT NULL DEFAULT 0 CHECK (failed_count >= 0),
    skipped_count int NOT NULL DEFAULT 0 CHECK (skipped_count >= 0),
    current_item text,
    initiated_by text DEFAULT nullif(current_setting('app.current_user_id', true), ''),
    started_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    completed_at timestamptz,
    elapsed_seconds double precision NOT NULL DEFAULT 0,
    speed_items_per_min double precision,
    eta_seconds double precision,
    percent_complete double precision NOT NULL DEFAULT 0,
    -- the moving window of the speed: where it began and where the next one will
    window_started_at timestamptz,
    window_count int,
    next_window_at timestamptz,
    next_window_count int,
    is_run boolean NOT NULL DEFAULT false,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, sync_id),
    CONSTRAINT sync_progress_counts CHECK (processed_count::bigint + failed_count + skipped_count <= total_items)
) WITH (fillfactor = 70);
COMMENT ON TABLE sync_progress IS
    'How far each run is. Apps may insert and update rows themselves; a trigger computes elapsed time, speed, '
    'ETA and percent.';
COMMENT ON COLUMN sync_progress.speed_items_per_min IS 'Over the last 15 to 30 seconds, so that an ETA follows a slowdown.';
COMMENT ON COLUMN sync_progress.eta_seconds IS 'By that speed; NULL where there is none yet, or it would be more than a year.';
COMMENT ON COLUMN sync_progress.percent_complete IS '100 once it has ended, however: status says how.';
COMMENT ON COLUMN sync_progress.phase IS 'What the run is doing.';
COMMENT ON COLUMN sync_progress.total_items IS '0 where it is left out: not known yet. Who inserts 0 says that there is nothing to do.';
COMMENT ON COLUMN sync_progress.is_run IS
    'A worker''s row: the worker alone says how it ended, and logs that. '
    'Any other one is complete when its total is reached.';
COMMENT ON COLUMN sync_progress.window_started_at IS 'Begin of the window over which the speed is measured.';

CREATE INDEX sync_progress_open ON sync_progress (org_id) WHERE completed_at IS NULL;

-- Every change of progress pays for this: one function, and few expressions in it.
CREATE FUNCTION sync_progress_compute() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    moment timestamptz := clock_timestamp();
    done bigint;
    nothing_to_do boolean := false;
    seconds double precision;
    announced text;
BEGIN
    IF greatest(length(NEW.sync_id), length(NEW.entity_type), length(NEW.source_system), length(NEW.status), length(NEW.phase),
                length(NEW.initiated_by)) > 255
       OR length(NEW.current_item) > 10000
       OR NOT (isfinite(NEW.started_at) AND isfinite(NEW.updated_at) AND isfinite(coalesce(NEW.completed_at, moment))) THEN
        RAISE EXCEPTION 'progress "%" is out of bounds', left(NEW.sync_id, 50) USING ERRCODE = '22023',
            DETAIL = 'Texts have up to 255 characters, current_item 10,000; times are finite.';
    END IF;
    IF TG_OP = 'INSERT' THEN
        nothing_to_do := NEW.total_items = 0 AND NOT NEW.is_run;
        NEW.total_items := coalesce(NEW.total_items, 0);
    ELSIF OLD.total_items = 0 AND NEW.total_items > 0 AND NEW.status = 'completed' AND NOT NEW.is_run THEN
        NEW.status := 'running'; -- there is something to do after all
    END IF;
    done := NEW.processed_count::bigint + NEW.failed_count + NEW.skipped_count;
    IF TG_OP = 'UPDATE' AND NEW.updated_at IS NOT DISTINCT FROM OLD.updated_at THEN
        NEW.updated_at := moment;
    END IF;
    IF TG_OP = 'INSERT' OR NEW.window_started_at IS NULL THEN
        NEW.window_started_at := NEW.started_at;
        NEW.window_count := 0;
        NEW.next_window_at := NEW.started_at;
        NEW.next_window_count := 0;
    END IF;
    IF NEW.completed_at IS NOT NULL AND NEW.status IN ('running', 'pending', 'paused') THEN
        NEW.completed_at := NULL; -- taken up again
    END IF;
    IF NEW.status = 'running' AND (nothing_to_do OR NEW.total_items > 0 AND done >= NEW.total_items AND NOT NEW.is_run) THEN
        NEW.status := CASE WHEN NEW.failed_count > 0 THEN 'completed_with_errors' ELSE 'completed' END;
    END IF;
    IF NEW.completed_at IS NULL AND NEW.status NOT IN ('running', 'pending', 'paused') THEN
        NEW.completed_at := moment;
    END IF;
    seconds := extract(epoch FROM coalesce(NEW.completed_at, moment) - NEW.started_at);
    NEW.elapsed_seconds := greatest(0, round(seconds * 1000) / 1000);
    -- whatever it came to, an end is an end: who asks until it is 100 must get there
    NEW.percent_complete := CASE
        WHEN NEW.completed_at IS NOT NULL THEN 100
        WHEN NEW.total_items > 0 THEN round(10000 * done / NEW.total_items::double precision) / 100
        ELSE 0 END;
    -- two anchors, moved on every 15 s, make a window of 15 to 30 s
    IF moment - NEW.next_window_at > interval '15 seconds' THEN
        NEW.window_started_at := NEW.next_window_at;
        NEW.window_count := NEW.next_window_count;
        NEW.next_window_at := moment;
        NEW.next_window_count := least(done, 2147483647);
    END IF;
    IF NEW.completed_at IS NOT NULL THEN
        NEW.speed_items_per_min := CASE WHEN seconds > 0 THEN round(6000 * done / seconds) / 100 END;
        NEW.eta_seconds := 0;
    ELSE
        seconds := extract(epoch FROM moment - NEW.window_started_at);
        NEW.speed_items_per_min := CASE WHEN seconds > 0 THEN round(6000 * greatest(0, done - NEW.window_count) / seconds) / 100 END;
        NEW.eta_seconds := CASE WHEN NEW.speed_items_per_min > 0
                                THEN round(600 * greatest(0, NEW.total_items - done) / NEW.speed_items_per_min) / 10 END;
        -- at a speed of next to nothing, that is no time to tell anybody
        IF NEW.eta_seconds > 31557600 THEN
            NEW.eta_seconds := NULL;
        END IF;
    END IF;
    -- Ids only: a channel has no row-level security. An assignment, since PERFORM would run a query.
    announced := pg_notify('sync_progress', json_build_object('org_id', NEW.org_id, 'sync_id', NEW.sync_id)::text);
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION sync_progress_compute() IS
    'Computes elapsed time, speed, ETA and percent of a progress row, completes it when its total is reached, '
    'and announces each change on the channel sync_progress (ids only).';

-- A row that was complete before is not logged again, whatever is written to it later.
CREATE FUNCTION sync_progress_log() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    IF TG_OP = 'INSERT' OR OLD.completed_at IS NULL THEN
        INSERT INTO sync_activity_log (org_id, sync_id, entity_type, activity_type, status, error_message, details,
                                       record_count, duration_seconds, user_id)
        VALUES (NEW.org_id, NEW.sync_id, NEW.entity_type, 'sync_completed',
                CASE NEW.status WHEN 'interrupted' THEN 'failed' ELSE NEW.status END,
                CASE WHEN NEW.status = 'interrupted' THEN 'nothing was heard of it for a day'
                     WHEN NEW.failed_count > 0 THEN format('%s of %s items failed', NEW.failed_count, NEW.total_items) END,
                jsonb_build_object('total', NEW.total_items, 'processed', NEW.processed_count, 'failed', NEW.failed_count,
                                   'skipped', NEW.skipped_count, 'sourceSystem', NEW.source_system),
                NEW.processed_count, NEW.elapsed_seconds, NEW.initiated_by);
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION sync_progress_log() IS 'Logs the completion of a progress row once.';

CREATE FUNCTION sync_progress_tidy() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    NEW.entity_type := sync_entity_spelling(NEW.entity_type);
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION sync_progress_tidy() IS 'Trigger: entity types in the plural.';
CREATE TRIGGER sync_progress_tidy BEFORE INSERT OR UPDATE OF entity_type ON sync_progress
    FOR EACH ROW EXECUTE FUNCTION sync_progress_tidy();

-- Not while a dump is restored (its sessions set both): the rows come as they were, and their completion is in the log.
CREATE TRIGGER sync_progress_compute BEFORE INSERT OR UPDATE ON sync_progress
    FOR EACH ROW WHEN (current_setting('row_security') = 'on' OR current_setting('check_function_bodies') = 'on')
    EXECUTE FUNCTION sync_progress_compute();
-- Workers log their own ends, with more to tell.
CREATE TRIGGER sync_progress_log AFTER INSERT OR UPDATE ON sync_progress
    FOR EACH ROW WHEN (NEW.completed_at IS NOT NULL AND NOT NEW.is_run
                       AND (current_setting('row_security') = 'on' OR current_setting('check_function_bodies') = 'on'))
    EXECUTE FUNCTION sync_progress_log();

CREATE VIEW sync_progress_live WITH (security_barrier) AS
SELECT p.sync_id, p.entity_type, p.source_system, p.status, p.phase,
       '[' || rpad(repeat('#', d.percent / 5), 20, '.') || '] ' || lpad(d.percent::text, 3) || ' %' AS progress,
       p.processed_count || ' / ' || p.total_items AS items,
       p.failed_count AS failed, p.skipped_count AS skipped,
       p.speed_items_per_min AS per_minute,
       CASE WHEN p.eta_seconds <= 31557600 THEN make_interval(secs => round(p.eta_seconds)) END AS eta,
       date_trunc('second', coalesce(p.completed_at, clock_timestamp()) - p.started_at) AS elapsed,
       p.current_item, p.started_at, p.updated_at, p.org_id
FROM sync_progress p
-- the bar shows how far it came, also where that was the end
CROSS JOIN LATERAL (
    SELECT CASE WHEN p.total_items > 0 THEN (100 * (p.processed_count::bigint + p.failed_count + p.skipped_count) / p.total_items)::int
                ELSE p.percent_complete::int END AS percent) d
WHERE p.org_id = (SELECT sync_current_org())
  AND (p.completed_at IS NULL OR p.completed_at > now() - interval '1 hour')
ORDER BY p.completed_at IS NOT NULL, p.started_at DESC;
COMMENT ON VIEW sync_progress_live IS 'Running syncs and those of the last hour with a text progress bar, made for psql''s \watch.';

CREATE VIEW sync_workers WITH (security_barrier) AS
SELECT r.org_id, r.pid, r.sync_id, r.kind, r.sync_type, r.entity_type, r.phase, r.started_at, r.heartbeat_at,
       clock_timestamp() - r.heartbeat_at AS silent_for,
       sync_worker_alive(r.pid) AS alive
FROM sync_run r
WHERE r.org_id = (SELECT sync_current_org()) AND r.status = 'running';
COMMENT ON VIEW sync_workers IS
    'Background workers of the current organisation with their last heartbeat; '
    'alive = false: a crash left the run, the next call takes it up.';
