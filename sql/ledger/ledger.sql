-- The ledger: one row per organisation, connector, entity type and record, with both sides.

CREATE TABLE sync_record (
    org_id uuid NOT NULL,
    connector int NOT NULL,
    entity smallint NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    ambiguous boolean NOT NULL DEFAULT false,
    remote_fingerprint uuid,
    local_fingerprint uuid,
    agreed_fingerprint uuid,
    settled uuid,
    remote_modified_at timestamptz,
    seen_at timestamptz NOT NULL DEFAULT now(),
    external_id text COLLATE "C",
    parent_id text COLLATE "C",
    match_key text COLLATE "C",
    local_id text COLLATE "C",
    local_match_key text COLLATE "C",
    remote jsonb,
    -- IS DISTINCT FROM has no statistics; a stored column has, and can carry a partial index
    change text COLLATE "C"
        GENERATED ALWAYS AS (sync_open_change(ambiguous, external_id, remote_fingerprint, local_fingerprint, settled)) STORED,
    -- no foreign key to the connector: it would be looked up for every record of a pull; sync_disconnect, the
    -- only way to lose a connector, takes its ledger along
    PRIMARY KEY (org_id, id)
) WITH (fillfactor = 50); -- a bulk statement on local rows finds room for all new versions where the old ones are

COMMENT ON TABLE sync_record IS
    'The ledger: what the remote and the local side hold of each record, as fingerprints, '
    'so that reading the delta costs as much as there are changes.';
COMMENT ON COLUMN sync_record.change IS 'new, updated, deleted, ambiguous, or NULL where both sides agree.';
COMMENT ON COLUMN sync_record.ambiguous IS 'A local row might be this record, but the match key is not unique: never linked by guessing.';
COMMENT ON COLUMN sync_record.remote_fingerprint IS 'Fingerprint of the remote record; NULL when the remote has none (any more).';
COMMENT ON COLUMN sync_record.local_fingerprint IS 'Fingerprint of the linked local row; NULL when there is none.';
COMMENT ON COLUMN sync_record.agreed_fingerprint IS 'What both sides held when they were last the same.';
COMMENT ON COLUMN sync_record.settled IS
    'sync_pair of the remote record and of what the local relation made of it when it was written: as long as both stay, '
    'they count as equal.';
COMMENT ON COLUMN sync_record.remote IS 'The remote record in canonical form, as last seen.';
COMMENT ON COLUMN sync_record.parent_id IS 'external_id of the record this one belongs to (the product of a variation).';
COMMENT ON COLUMN sync_record.seen_at IS 'When this content was first seen; an unchanged record is not touched.';
COMMENT ON COLUMN sync_record.match_key IS 'What links a remote record to a local row: e-mail, SKU, number.';
COMMENT ON COLUMN sync_record.local_match_key IS 'The same of the local row.';

-- nothing is ever searched for in it, and sampling it would be most of an ANALYZE
ALTER TABLE sync_record ALTER COLUMN remote SET STATISTICS 0;

-- Of an organisation that is new, statistics would say that there is no row, and ANALYZE comes only when a tenth of all
-- rows have changed: every index that begins with the organisation would look as good as the one for what is looked up, and all
-- of its rows be read for each record. Without any, one organisation is taken for half a percent.
ALTER TABLE sync_record ALTER COLUMN org_id SET STATISTICS 0;

-- 16 + 2 + 4 bytes, aligned: the text after them is found without walking over them, which a tenth of the time of
-- writing a new record goes into where the connector comes first
CREATE UNIQUE INDEX sync_record_remote ON sync_record (org_id, entity, connector, external_id) WHERE external_id IS NOT NULL;
-- only ever asked for single rows: most of a search is over once the first column has been compared
CREATE UNIQUE INDEX sync_record_local ON sync_record (local_id, org_id, entity, connector) WHERE local_id IS NOT NULL;
CREATE INDEX sync_record_change ON sync_record (org_id, entity, connector, change, id)
    INCLUDE (external_id, local_id, match_key) WHERE change IS NOT NULL;
CREATE INDEX sync_record_match ON sync_record (org_id, entity, connector, match_key) WHERE match_key IS NOT NULL;
CREATE INDEX sync_record_local_match ON sync_record (org_id, entity, connector, local_match_key) WHERE local_match_key IS NOT NULL;
-- local rows that nothing remote is linked to: their number, and the candidates for matching
CREATE INDEX sync_record_unlinked ON sync_record (org_id, entity, connector, local_match_key) WHERE external_id IS NULL;
CREATE INDEX sync_record_parent ON sync_record (org_id, entity, connector, parent_id) WHERE parent_id IS NOT NULL;

CREATE TABLE sync_metadata (
    org_id uuid NOT NULL DEFAULT sync_current_org(),
    sync_type text NOT NULL,
    data_type text NOT NULL,
    last_sync_timestamp timestamptz,
    last_sync_count int NOT NULL DEFAULT 0,
    sync_status text NOT NULL DEFAULT 'pending' CHECK (sync_status IN ('pending', 'in_progress', 'success', 'partial', 'failed')),
    error_message text,
    checkpoint jsonb,
    last_full_at timestamptz,
    hidden_count int NOT NULL DEFAULT 0,
    fingerprint_spec text,
    lines_seal jsonb,
    unshown jsonb NOT NULL DEFAULT '{}',
    unreadable jsonb NOT NULL DEFAULT '{}',
    unlisted jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, sync_type, data_type)
);
COMMENT ON TABLE sync_metadata IS 'Per connector and entity type: how far the last pull came, and where the next one takes up.';
COMMENT ON COLUMN sync_metadata.last_sync_timestamp IS 'The remote''s clock when the last complete pull began.';
COMMENT ON COLUMN sync_metadata.checkpoint IS 'What an unfinished pull still has to read; NULL when there is none.';
COMMENT ON COLUMN sync_metadata.last_full_at IS 'When every record was last read, not only the changed ones.';
COMMENT ON COLUMN sync_metadata.hidden_count IS
    'Records that the connector''s user could not see in the last pull, though they are not deleted.';
COMMENT ON COLUMN sync_metadata.fingerprint_spec IS 'Version and field list the fingerprints were made with.';
COMMENT ON COLUMN sync_metadata.lines_seal IS
    'What the remote told of the lines of all documents, and of what records refer to: '
    'another answer means that some of it is gone.';
COMMENT ON COLUMN sync_metadata.unreadable IS
    'Records that the last pull met and could not read, by id: {id: {list, reason}}. '
    'They are kept as they were, and the next pull asks for them again.';
COMMENT ON COLUMN sync_metadata.unlisted IS
    'Records that no listing shows, and that answered when they were asked for alone, by id: {id: {list, at}}. '
    'They are asked for again by a full pass, by the first pull sync_ext.full_pass_interval later, '
    'or where a webhook names them.';
COMMENT ON COLUMN sync_metadata.sync_status IS
    'pending, in_progress, success, partial (not all that the remote has could be read) or failed.';
COMMENT ON COLUMN sync_metadata.unshown IS
    'Per listing, the rows that the remote counts and does not show, as the last complete sweep found them; '
    'a listing for which that could not be told is left out.';

CREATE TABLE sync_run (
    org_id uuid NOT NULL,
    sync_id text NOT NULL,
    connector int,
    sync_type text NOT NULL,
    entity_type text,
    kind text NOT NULL,
    status text NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'done', 'failed', 'interrupted')),
    pid int NOT NULL,
    user_id text,
    phase text,
    started_at timestamptz NOT NULL DEFAULT now(),
    heartbeat_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    result jsonb,
    error jsonb,
    PRIMARY KEY (org_id, sync_id)
);
CREATE INDEX sync_run_recent ON sync_run (org_id, kind, started_at DESC);
CREATE INDEX sync_run_open ON sync_run (org_id, connector, entity_type) WHERE status = 'running';
COMMENT ON TABLE sync_run IS 'One row per execution of a worker: who, what, since when, and how it ended.';

CREATE TABLE sync_waiting (
    org_id uuid PRIMARY KEY,
    since timestamptz NOT NULL,
    until timestamptz NOT NULL
);
COMMENT ON TABLE sync_waiting IS
    'Organisations that found no place among the workers: what gets free is theirs first, in the order in which they came.';
COMMENT ON COLUMN sync_waiting.until IS 'Who has not asked again by then is not waited for.';

-- By what it is, not by its pid alone: after a crash another process may have got that.
CREATE FUNCTION sync_worker_alive(pid int) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT EXISTS (SELECT FROM pg_stat_get_activity(pid) a
                   WHERE a.backend_type = 'sync_ext worker'
                     AND a.datid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()))
$$;
COMMENT ON FUNCTION sync_worker_alive(int) IS 'Whether a worker of this extension and database has that pid.';

CREATE TYPE sync_upsert_counts AS (inserted bigint, updated bigint, unchanged bigint);
COMMENT ON TYPE sync_upsert_counts IS 'What sync_upsert_remote did.';

-- The arrays are parallel, one element per record. Nothing is written for a record that stayed as it was.
-- The modification date counts as content: else a record saved without a comparable change would be
-- fetched again by every later pull that compares dates.
-- What is unchanged is sorted out before the INSERT: ON CONFLICT would parse its json and lock its row. LATERAL with
-- LIMIT leaves the planner no choice but one index look-up per record, whatever it believes about the ledger's size
-- (the plan is kept, and a first pull begins with an empty ledger). A first pull needs no look-up: ON CONFLICT finds
-- the few that came twice.
CREATE FUNCTION sync_upsert_remote(org uuid, connector_no int, entity_no smallint,
        ids text[], parents text[], keys text[], fingerprints uuid[], modified timestamptz[], records text[],
        none_held boolean DEFAULT false)
    RETURNS sync_upsert_counts
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    counts sync_upsert_counts;
BEGIN
    WITH written AS (
        INSERT INTO sync_record AS r
            (org_id, connector, entity, external_id, parent_id, match_key, remote_fingerprint, remote_modified_at, remote)
        SELECT org, connector_no, entity_no, u.id, u.parent, u.key, u.fingerprint, u.modified_at, u.record::jsonb
        FROM unnest(ids, parents, keys, fingerprints, modified, records)
             AS u (id, parent, key, fingerprint, modified_at, record)
        LEFT JOIN LATERAL (
            SELECT h.remote_fingerprint, h.remote_modified_at
            FROM sync_record h
            WHERE NOT none_held
              AND h.org_id = org AND h.connector = connector_no AND h.entity = entity_no AND h.external_id = u.id
            LIMIT 1) held ON true
        WHERE held.remote_fingerprint IS DISTINCT FROM u.fingerprint
           OR held.remote_modified_at IS DISTINCT FROM u.modified_at
        ON CONFLICT (org_id, connector, entity, external_id) WHERE external_id IS NOT NULL
        DO UPDATE SET
            parent_id = excluded.parent_id,
            match_key = excluded.match_key,
            remote_fingerprint = excluded.remote_fingerprint,
            remote_modified_at = excluded.remote_modified_at,
            remote = excluded.remote,
            seen_at = now(),
            agreed_fingerprint = CASE WHEN excluded.remote_fingerprint = r.local_fingerprint
                                      THEN excluded.remote_fingerprint ELSE r.agreed_fingerprint END
        WHERE r.remote_fingerprint IS DISTINCT FROM excluded.remote_fingerprint
           OR r.remote_modified_at IS DISTINCT FROM excluded.remote_modified_at
        RETURNING r.xmax = 0 AS is_new)
    SELECT count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new)
    INTO counts.inserted, counts.updated FROM written;
    counts.unchanged := cardinality(ids) - counts.inserted - counts.updated;
    RETURN counts;
END
$$;
COMMENT ON FUNCTION sync_upsert_remote(uuid, int, smallint, text[], text[], text[], uuid[], timestamptz[], text[], boolean) IS
    'Writes the remote side of one page of records, set-based; touches no row that stayed as it was. '
    'none_held: the ledger holds none or hardly any of them, so they are not looked up first.';

CREATE FUNCTION sync_stale_ids(
    org uuid, connector_no int, entity_no smallint, ids text[], modified timestamptz[], lines int[], named text[],
    recent timestamptz)
    RETURNS SETOF text
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT u.id
    FROM unnest(ids, modified, lines, named) AS u (id, modified_at, lines, named)
    LEFT JOIN LATERAL (
        SELECT h.remote_fingerprint, h.remote_modified_at, h.remote
        FROM sync_record h
        WHERE h.org_id = org AND h.connector = connector_no AND h.entity = entity_no AND h.external_id = u.id
        LIMIT 1) r ON true
    WHERE r.remote_fingerprint IS NULL              -- never seen, or back again
       OR u.modified_at IS NULL                     -- the remote can't tell
       OR u.modified_at IS DISTINCT FROM r.remote_modified_at
       OR u.modified_at >= recent                   -- perhaps edited twice within one second
       OR u.lines IS NOT NULL AND u.lines <> CASE jsonb_typeof(r.remote -> 'lines')
              WHEN 'array' THEN jsonb_array_length(r.remote -> 'lines') ELSE 0 END
       OR EXISTS (SELECT FROM jsonb_each_text(u.named::jsonb) n WHERE n.value IS DISTINCT FROM r.remote ->> n.key)
$$;
COMMENT ON FUNCTION sync_stale_ids(uuid, int, smallint, text[], timestamptz[], int[], text[], timestamptz) IS
    'Which of these remote records must be read in full.';

CREATE FUNCTION sync_live_count(org uuid, connector_no int, entity_no smallint, of_children boolean) RETURNS bigint
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT count(*) FROM sync_record r
    WHERE r.org_id = org AND r.connector = connector_no AND r.entity = entity_no
      AND r.external_id IS NOT NULL AND r.remote_fingerprint IS NOT NULL
      AND (r.parent_id IS NOT NULL) = of_children
$$;
COMMENT ON FUNCTION sync_live_count(uuid, int, smallint, boolean) IS
    'How many records the ledger believes to exist: of those that belong to another one, or of those that do not.';

CREATE FUNCTION sync_held_custom(org uuid, connector_no int, entity_no smallint, ids text[]) RETURNS json
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT coalesce(json_object_agg(r.external_id, r.remote -> 'custom'), '{}')
    FROM unnest(ids) t (id)
    CROSS JOIN LATERAL (SELECT x.external_id, x.remote FROM sync_record x
                        WHERE x.org_id = org AND x.connector = connector_no AND x.entity = entity_no AND x.external_id = t.id
                        LIMIT 1) r
    WHERE jsonb_typeof(r.remote -> 'custom') = 'object'
$$;
COMMENT ON FUNCTION sync_held_custom(uuid, int, smallint, text[]) IS
    'The custom fields of these remote records as the ledger has them, by id; those that have none are left out.';
