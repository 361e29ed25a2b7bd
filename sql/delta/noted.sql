-- Changes as they were noted: by a preview, or at the beginning of an apply.

-- What a preview has shown, so that an apply can be bound to exactly that; and what an apply without one has found at
-- its beginning, so that its batches are looked up by number. To look for the next batch each time costs the more the
-- more there are: no plan of that stays right while the ledger changes under it.
CREATE TABLE sync_preview_item (
    org_id uuid NOT NULL,
    preview_id uuid NOT NULL,
    part int NOT NULL,
    connector int NOT NULL,
    entity smallint NOT NULL,
    change text NOT NULL,
    ids bigint[] NOT NULL,
    states uuid[],
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, preview_id, part)
);
CREATE INDEX sync_preview_item_expiry ON sync_preview_item (expires_at);
COMMENT ON TABLE sync_preview_item IS
    'The records of a preview and the state of both sides that it was made of, a thousand of a class to a row; '
    'for a while, also those of an apply without a preview.';
COMMENT ON COLUMN sync_preview_item.preview_id IS 'The preview, or the history''s entry of an apply without one.';
COMMENT ON COLUMN sync_preview_item.states IS
    'NULL where it doesn''t matter what has moved since, as long as it is the same class of change.';

-- deleted_scope = 'all': local rows that were never linked count as deletions, unless another connector has them
CREATE FUNCTION sync_pending_change(r sync_record, mirror boolean) RETURNS text
    LANGUAGE sql STABLE
    RETURN CASE WHEN NOT mirror OR r.external_id IS NOT NULL THEN r.change WHEN NOT sync_is_held(r) THEN 'deleted' END;
COMMENT ON FUNCTION sync_pending_change(sync_record, boolean) IS 'What an apply would do for a row of the ledger.';

CREATE FUNCTION sync_record_state(r sync_record) RETURNS uuid
    LANGUAGE sql IMMUTABLE
    RETURN md5(concat_ws(':', r.remote_fingerprint, r.local_fingerprint, r.external_id, r.local_id))::uuid;
COMMENT ON FUNCTION sync_record_state(sync_record) IS 'Both sides of a row of the ledger in short: another one where either has moved.';

CREATE FUNCTION sync_keep_changes(
    org uuid, c integration_connector, e sync_entity, preview uuid, classes text[], with_states boolean, expires timestamptz)
    RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    class text;
    parts int := 0;
    n int;
BEGIN
    DELETE FROM sync_preview_item i WHERE i.org_id = org AND i.expires_at <= now();
    FOREACH class IN ARRAY classes LOOP
        INSERT INTO sync_preview_item (org_id, preview_id, part, connector, entity, change, ids, states, expires_at)
        SELECT org, preview, parts + x.part, c.number, e.number, class, array_agg(x.id ORDER BY x.id),
               CASE WHEN with_states THEN array_agg(x.state ORDER BY x.id) END, expires
        FROM (SELECT o.id, o.state, (row_number() OVER (ORDER BY o.id) + 999) / 1000 AS part
              FROM (SELECT r.id, CASE WHEN with_states THEN sync_record_state(r) END AS state
                    FROM sync_record r
                    WHERE r.org_id = org AND r.connector = c.number AND r.entity = e.number AND r.change = class
                    UNION ALL
                    SELECT r.id, CASE WHEN with_states THEN sync_record_state(r) END
                    FROM sync_record r
                    WHERE class = 'deleted' AND sync_is_mirror(c)
                      AND r.org_id = org AND r.connector = c.number AND r.entity = e.number
                      AND r.external_id IS NULL AND NOT sync_is_held(r)) o) x
        GROUP BY x.part;
        GET DIAGNOSTICS n = ROW_COUNT;
        parts := parts + n;
    END LOOP;
END
$$;
COMMENT ON FUNCTION sync_keep_changes(uuid, integration_connector, sync_entity, uuid, text[], boolean, timestamptz) IS
    'Notes the records of some classes of changes, class by class, a thousand to a part.';

CREATE FUNCTION sync_check_preview(org uuid, c integration_connector, e sync_entity, preview uuid) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    moved text[];
    n bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM sync_preview_item i
                   WHERE i.org_id = org AND i.preview_id = preview AND i.connector = c.number AND i.entity = e.number
                     AND i.expires_at > now()) THEN
        RAISE EXCEPTION 'there is no such preview of % of "%"', e.name, c.name USING ERRCODE = '40001',
            DETAIL = 'It showed no changes, has expired, or is of something else.', HINT = 'Make a new preview, and pass its previewId.';
    END IF;
    SELECT count(*), (array_agg(coalesce(r.external_id, r.local_id, format('record %s, which is gone', x.id))))[1:10] INTO n, moved
    FROM sync_preview_item i
    CROSS JOIN LATERAL unnest(i.ids, i.states) AS x (id, state)
    LEFT JOIN LATERAL (SELECT s.id, s.external_id, s.local_id, sync_record_state(s) AS state FROM sync_record s
                       WHERE s.org_id = org AND s.id = x.id LIMIT 1) r ON true
    WHERE i.org_id = org AND i.preview_id = preview AND (r.id IS NULL OR r.state <> x.state);
    IF n > 0 THEN
        RAISE EXCEPTION 'the preview is no longer true: % of its records have changed', n USING ERRCODE = '40001',
            DETAIL = format('Changed since: %s%s.', array_to_string(moved, ', '), CASE WHEN n > 10 THEN ', ...' ELSE '' END),
            HINT = 'Nothing was written. Make a new preview.';
    END IF;
END
$$;
COMMENT ON FUNCTION sync_check_preview(uuid, integration_connector, sync_entity, uuid) IS
    '40001 where either side has moved since a preview for a record in it.';

CREATE FUNCTION sync_count_kept(org uuid, preview uuid, classes text[]) RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT jsonb_object_agg(k.class, coalesce((
        SELECT sum(cardinality(i.ids)) FROM sync_preview_item i
        WHERE i.org_id = org AND i.preview_id = preview AND i.change = k.class AND i.change = ANY (classes)), 0))
    FROM unnest('{new,updated,deleted}'::text[]) k (class)
$$;
COMMENT ON FUNCTION sync_count_kept(uuid, uuid, text[]) IS
    'How many records of each class were noted, 0 of a class that isn''t wanted: {new, updated, deleted}.';
