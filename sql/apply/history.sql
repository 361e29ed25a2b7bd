-- What runs did to items: one row for each apply, delta, full and scheduled run.

CREATE FUNCTION sync_count(n bigint) RETURNS int
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN n > 2147483647 THEN 2147483647 ELSE n END;
COMMENT ON FUNCTION sync_count(bigint) IS 'A count as clients get it: drivers hand bigint over as text. At most 2,147,483,647.';

CREATE FUNCTION sync_metadata_tidy() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    NEW.metadata := coalesce(NEW.metadata, '{}');
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION sync_metadata_tidy() IS 'Trigger: no metadata are {}, also where that is said as NULL.';

CREATE TABLE sync_history (
    org_id uuid NOT NULL DEFAULT sync_current_org(),
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    user_id text DEFAULT nullif(current_setting('app.current_user_id', true), ''),
    sync_type text NOT NULL CHECK (sync_type IN ('manual', 'delta', 'full', 'scheduled')),
    status text NOT NULL CHECK (status IN ('completed', 'failed', 'partial_success')),
    items_processed int NOT NULL DEFAULT 0 CHECK (items_processed >= 0),
    items_created int NOT NULL DEFAULT 0 CHECK (items_created >= 0),
    items_updated int NOT NULL DEFAULT 0 CHECK (items_updated >= 0),
    items_deleted int NOT NULL DEFAULT 0 CHECK (items_deleted >= 0),
    items_failed int NOT NULL DEFAULT 0 CHECK (items_failed >= 0),
    duration_ms int NOT NULL DEFAULT 0 CHECK (duration_ms >= 0),
    metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id)
);
CREATE TRIGGER sync_metadata_tidy BEFORE INSERT OR UPDATE OF metadata ON sync_history FOR EACH ROW EXECUTE FUNCTION sync_metadata_tidy();
CREATE INDEX sync_history_recent ON sync_history (org_id, created_at DESC);
-- retention goes over all organisations
CREATE INDEX sync_history_age ON sync_history (created_at);
COMMENT ON TABLE sync_history IS
    'What runs did to items: one row for each apply, delta, full and scheduled run. Kept for sync_ext.history_retention.';
COMMENT ON COLUMN sync_history.sync_type IS 'manual: called for by somebody; delta, full: of sync lists; scheduled: by sync_scheduled().';
COMMENT ON COLUMN sync_history.status IS 'completed; partial_success: some items failed; failed: all did, or the run itself.';
COMMENT ON COLUMN sync_history.user_id IS
    'Whose items, or who called; NULL for the run of sync_scheduled() as a whole, and where nobody is known.';
COMMENT ON COLUMN sync_history.metadata IS 'What explains the run: connector, entity type, arguments, errors by item.';

CREATE TABLE sync_apply_image (
    org_id uuid NOT NULL,
    history_id uuid NOT NULL,
    part bigint GENERATED ALWAYS AS IDENTITY,
    connector int NOT NULL,
    entity smallint NOT NULL,
    layout int NOT NULL,
    operation text NOT NULL CHECK (operation IN ('insert', 'update', 'delete', 'unlink')),
    local_ids text[] NOT NULL,
    external_ids text[] NOT NULL,
    images text[],
    prints bigint[],
    undone boolean NOT NULL DEFAULT false,
    PRIMARY KEY (org_id, history_id, part)
);
COMMENT ON TABLE sync_apply_image IS 'What rows were before an apply wrote them, chunk by chunk, so that sync_undo can restore them.';
COMMENT ON COLUMN sync_apply_image.prints IS 'Hash of each row as the apply left it: a row that is another one since is not undone.';

CREATE TABLE sync_apply_failure (
    org_id uuid NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    history_id uuid NOT NULL,
    change text NOT NULL,
    external_id text,
    local_id text,
    match_key text,
    sqlstate text NOT NULL,
    message text NOT NULL,
    detail text,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id)
);
CREATE INDEX sync_apply_failure_history ON sync_apply_failure (org_id, history_id);
COMMENT ON TABLE sync_apply_failure IS
    'Records that an apply could not write, with the local table''s reason. The next apply tries them again.';

-- No foreign keys between tables that a dump takes along: a parallel restore loads them in any order. Deletions are followed by
-- triggers, which a restore doesn't fire.
CREATE FUNCTION sync_history_deleted() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM sync_apply_image;
        DELETE FROM sync_apply_failure;
    ELSE
        DELETE FROM sync_apply_image i USING gone g WHERE i.org_id = g.org_id AND i.history_id = g.id;
        DELETE FROM sync_apply_failure f USING gone g WHERE f.org_id = g.org_id AND f.history_id = g.id;
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION sync_history_deleted() IS 'Trigger: images and failures of an apply go with its history.';
CREATE TRIGGER sync_history_deleted AFTER DELETE ON sync_history REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION sync_history_deleted();
CREATE TRIGGER sync_history_truncated AFTER TRUNCATE ON sync_history FOR EACH STATEMENT EXECUTE FUNCTION sync_history_deleted();
