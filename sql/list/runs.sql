-- Carrying out sync lists: what workers read and write. (The statements' other half is in src/job/list.)

CREATE TABLE sync_idempotency_log (
    org_id uuid NOT NULL DEFAULT sync_current_org(),
    idempotency_key text NOT NULL,
    state text NOT NULL CHECK (state IN ('intended', 'done', 'failed')),
    result jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, idempotency_key)
);
CREATE INDEX sync_idempotency_log_age ON sync_idempotency_log (created_at);
COMMENT ON TABLE sync_idempotency_log IS
    'Every write to a remote, entered before it is sent: one whose outcome nobody knows (a timeout, '
    'a crash) stays intended, and is looked for before it is repeated.';
COMMENT ON COLUMN sync_idempotency_log.idempotency_key IS
    'Hash of operation, target, record and fingerprint; of a creation without the fingerprint, '
    'so that a record that changed meanwhile is the same creation.';
COMMENT ON COLUMN sync_idempotency_log.result IS
    '{"operation", "target", "entityType", "source", "sourceId"}, with "externalId" once it is done, '
    '"error" where it failed.';

CREATE FUNCTION sync_creation_key(target text, entity_type text, source text, source_id text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN md5(jsonb_build_array('create', target, entity_type, source, source_id)::text);
COMMENT ON FUNCTION sync_creation_key(text, text, text, text) IS 'The key of a creation in sync_idempotency_log.';

-- By priority, then by age: when the item was due, for a scheduled run, else when it was added. The position of the
-- last page is where the next begins; what a scheduled run has carried out is not due any more. The planner settings: without
-- statistics, or with those of before, to sort all that are left seems cheaper than to walk along the index that has them in order.
CREATE FUNCTION sync_list_page(org uuid, of_user text, wanted uuid[], wanted_type text, due timestamptz,
                               after_priority int, after_at timestamptz, after_id uuid, page_size int)
    RETURNS TABLE (id uuid, user_id text, entity text, source_platform text, target_platform text, source_id text, target_id text,
                   is_full boolean, is_active boolean, fields text[], has_filter boolean, fingerprint uuid, modified_at timestamptz,
                   priority int, "position" timestamptz)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp SET plan_cache_mode = force_custom_plan
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    IF wanted IS NOT NULL THEN
        -- one by one, by their keys
        RETURN QUERY
        SELECT l.id, l.user_id, l.entity_type, l.source_platform, l.target_platform, l.source_id, l.target_id,
               l.sync_mode = 'full', l.is_active, coalesce(l.fields, sync_item_fields(l.item_type)), l.filter_config IS NOT NULL,
               l.source_fingerprint, l.source_modified_at, l.priority, p.at
        FROM (SELECT DISTINCT unnest(wanted) AS id) w
        CROSS JOIN LATERAL (SELECT * FROM sync_list x WHERE x.org_id = org AND x.id = w.id LIMIT 1) l
        CROSS JOIN LATERAL (SELECT CASE WHEN due IS NULL THEN l.created_at ELSE l.next_due_at END AS at) p
        WHERE (of_user IS NULL OR l.user_id = nullif(of_user, ''))
          AND (wanted_type IS NULL OR (l.entity_type, l.is_stock) = (sync_item_entity(wanted_type), sync_item_is_stock(wanted_type)))
          AND (due IS NULL OR l.next_due_at <= due)
        ORDER BY -l.priority, p.at, l.id;
        RETURN;
    END IF;
    -- what isn't asked for vanishes from a plan for these arguments alone
    RETURN QUERY
    SELECT l.id, l.user_id, l.entity_type, l.source_platform, l.target_platform, l.source_id, l.target_id,
           l.sync_mode = 'full', l.is_active, coalesce(l.fields, sync_item_fields(l.item_type)), l.filter_config IS NOT NULL,
           l.source_fingerprint, l.source_modified_at, l.priority, p.at
    FROM sync_list l, LATERAL (SELECT CASE WHEN due IS NULL THEN l.created_at ELSE l.next_due_at END AS at) p
    WHERE l.org_id = org AND l.is_active
      AND (of_user IS NULL OR l.user_id = nullif(of_user, ''))
      AND (wanted_type IS NULL OR (l.entity_type, l.is_stock) = (sync_item_entity(wanted_type), sync_item_is_stock(wanted_type)))
      AND (due IS NULL OR l.next_due_at <= due)
      AND (after_id IS NULL OR (-l.priority, p.at, l.id) > (-after_priority, after_at, after_id))
    ORDER BY -l.priority, p.at, l.id
    LIMIT page_size;
END
$$;
COMMENT ON FUNCTION sync_list_page(uuid, text, uuid[], text, timestamptz, int, timestamptz, uuid, int) IS 'The next items of a list run.';

CREATE FUNCTION sync_list_meeting_filters(org uuid, items uuid[]) RETURNS TABLE (id uuid)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    part record;
    f sync_filter;
BEGIN
    FOR part IN
        SELECT e, c.number AS connector, l.filter_config, array_agg(l.source_id) AS ids, array_agg(l.id) AS items
        FROM unnest(sync_list_meeting_filters.items) t (id)
        CROSS JOIN LATERAL (SELECT * FROM sync_list x WHERE x.org_id = org AND x.id = t.id LIMIT 1) l
        JOIN sync_entity e ON e.name = l.entity_type
        JOIN integration_connector c ON c.org_id = l.org_id AND c.name = l.source_platform
        GROUP BY 1, 2, 3
    LOOP
        f := sync_parse_filter(part.filter_config);
        -- a filter by ids of its own holds beside the item's
        f.ids := CASE WHEN f.ids IS NULL THEN part.ids ELSE ARRAY(SELECT unnest(f.ids) INTERSECT SELECT unnest(part.ids)) END;
        RETURN QUERY
        SELECT i.item
        FROM sync_filter_rows(org, part.connector, part.e, f) m
        CROSS JOIN LATERAL (SELECT x.external_id FROM sync_record x WHERE x.org_id = org AND x.id = m.id LIMIT 1) r
        JOIN unnest(part.items, part.ids) AS i (item, source_id) ON i.source_id = r.external_id;
    END LOOP;
END
$$;
COMMENT ON FUNCTION sync_list_meeting_filters(uuid, uuid[]) IS 'Which of these items meet their own filters.';

-- Where an item's target is known: by the item, by another user's item of the same record, by a creation that was
-- completed, or because both records are linked to one local row. (That has a remote side, so an external id: asking for
-- one as well would suggest another index than that of the local ids, which only statistics could tell from this one.)
CREATE FUNCTION sync_list_targets(org uuid, items uuid[])
    RETURNS TABLE (id uuid, target_id text, is_given boolean, creation_key text, is_intended boolean, has_failed boolean)
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT l.id, coalesce(l.target_id, sibling.target_id, log.result ->> 'externalId', linked.external_id),
           l.target_id IS NOT NULL, k.key, coalesce(log.state = 'intended', false), l.attempts > 0
    FROM unnest(items) i (id)
    CROSS JOIN LATERAL (SELECT * FROM sync_list x WHERE x.org_id = org AND x.id = i.id LIMIT 1) l
    JOIN sync_entity e ON e.name = l.entity_type
    JOIN integration_connector t ON t.org_id = org AND t.name = l.target_platform
    CROSS JOIN LATERAL (SELECT sync_creation_key(l.target_platform, l.entity_type, l.source_platform, l.source_id) AS key) k
    LEFT JOIN sync_idempotency_log log ON log.org_id = org AND log.idempotency_key = k.key AND log.state <> 'failed'
    LEFT JOIN LATERAL (
        SELECT s.target_id FROM sync_list s
        WHERE s.org_id = org AND s.entity_type = l.entity_type AND s.source_platform = l.source_platform
          AND s.source_id = l.source_id AND s.target_platform = l.target_platform AND s.target_id IS NOT NULL
        LIMIT 1) sibling ON true
    LEFT JOIN LATERAL (
        SELECT CASE WHEN l.source_platform = 'local' THEN l.source_id ELSE (
            SELECT r.local_id FROM sync_record r JOIN integration_connector c ON c.org_id = org AND c.number = r.connector
            WHERE r.org_id = org AND c.name = l.source_platform AND r.entity = e.number AND r.external_id = l.source_id) END AS id
    ) here ON true
    LEFT JOIN LATERAL (
        SELECT r.external_id FROM sync_record r
        WHERE r.org_id = org AND r.connector = t.number AND r.entity = e.number
          AND r.local_id = here.id AND r.remote_fingerprint IS NOT NULL
        LIMIT 1) linked ON true
$$;
COMMENT ON FUNCTION sync_list_targets(uuid, uuid[]) IS
    'What is known of the targets of these items, whether a creation may have happened that nobody saw end, '
    'and whether the last attempt failed.';

CREATE FUNCTION sync_list_parents(org uuid, connector_no int, entity_no smallint, ids text[]) RETURNS TABLE (id text, parent_id text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT r.external_id, r.parent_id
    FROM unnest(ids) t (external_id)
    CROSS JOIN LATERAL (
        SELECT x.external_id, x.parent_id FROM sync_record x
        WHERE x.org_id = org AND x.connector = connector_no AND x.entity = entity_no AND x.external_id = t.external_id
        LIMIT 1) r
    WHERE r.parent_id IS NOT NULL
$$;
COMMENT ON FUNCTION sync_list_parents(uuid, int, smallint, text[]) IS
    'Of these remote records, those that belong to another one (variations).';

CREATE FUNCTION sync_list_local_records(org uuid, entity_no smallint, ids text[]) RETURNS TABLE (local_id text, record jsonb)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    layout_id int := sync_layout_of(org, entity_no);
BEGIN
    PERFORM sync_layout_usable(layout_id);
    FOR local_id, record IN SELECT l.local_id, l.record FROM sync_local_records(layout_id, org, ids) l LOOP
        IF sync_depth(record) > 64 THEN
            RAISE EXCEPTION 'the local row % is nested deeper than 64 levels', local_id USING ERRCODE = '22023',
                HINT = 'What a sync list carries has JSON of at most 64 levels.';
        END IF;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION sync_list_local_records(uuid, smallint, text[]) IS 'Local records that items come from, by their ids.';

CREATE FUNCTION sync_list_intend(org uuid, keys text[], abouts text[]) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    INSERT INTO sync_idempotency_log (org_id, idempotency_key, state, result)
    SELECT org, t.key, 'intended', t.about::jsonb FROM unnest(keys, abouts) AS t (key, about)
    ON CONFLICT (org_id, idempotency_key)
        DO UPDATE SET state = 'intended', result = excluded.result, created_at = now()
$$;
COMMENT ON FUNCTION sync_list_intend(uuid, text[], text[]) IS
    'Enters into the log, before they are sent, that these writes will be; abouts say as JSON what each is about.';

CREATE FUNCTION sync_list_conclude(org uuid, keys text[], new_state text, more text[]) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    UPDATE sync_idempotency_log i
    SET state = new_state, result = coalesce(i.result, '{}') || t.told::jsonb
    FROM unnest(keys, more) AS t (key, told)
    WHERE i.org_id = org AND i.idempotency_key = t.key
$$;
COMMENT ON FUNCTION sync_list_conclude(uuid, text[], text, text[]) IS
    'Enters into the log how these writes ended; more is JSON about each.';

-- Two records are one because one was written from the other: they need no match key for that.
CREATE FUNCTION sync_list_link(org uuid, item uuid, written_id text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    here text;
    target record;
    lone sync_record;
BEGIN
    SELECT t.number AS connector, e.number AS entity,
           CASE WHEN l.source_platform = 'local' THEN l.source_id ELSE (
               SELECT r.local_id FROM sync_record r JOIN integration_connector c ON c.org_id = org AND c.number = r.connector
               WHERE r.org_id = org AND c.name = l.source_platform AND r.entity = e.number AND r.external_id = l.source_id) END AS local_id
    INTO target
    FROM sync_list l
    JOIN sync_entity e ON e.name = l.entity_type
    JOIN integration_connector t ON t.org_id = org AND t.name = l.target_platform
    WHERE l.org_id = org AND l.id = item;
    -- not "IS NULL", or the index of all unlinked rows would be walked through where statistics lag behind
    DELETE FROM sync_record r
    WHERE r.org_id = org AND r.connector = target.connector AND r.entity = target.entity
      AND r.local_id = target.local_id AND num_nulls(r.external_id) = 1
      AND EXISTS (SELECT FROM sync_record x
                  WHERE x.org_id = org AND x.connector = target.connector AND x.entity = target.entity
                    AND x.external_id = written_id AND x.local_id IS NULL)
    RETURNING r.* INTO lone;
    IF FOUND THEN
        UPDATE sync_record r
        SET local_id = lone.local_id, local_match_key = lone.local_match_key, local_fingerprint = lone.local_fingerprint,
            ambiguous = false,
            agreed_fingerprint = CASE WHEN r.remote_fingerprint = lone.local_fingerprint THEN r.remote_fingerprint END
        WHERE r.org_id = org AND r.connector = target.connector AND r.entity = target.entity AND r.external_id = written_id;
    END IF;
END
$$;
COMMENT ON FUNCTION sync_list_link(uuid, uuid, text) IS
    'Links the record that an item was written to with the local row that the item comes from.';

-- The schedule goes on from the time that was planned, not from the end of a run: an item of an hour that is looked at once
-- an hour would else be late every second time. Times that were missed are left out.
CREATE FUNCTION sync_planned_next(planned timestamptz, every interval) RETURNS timestamptz
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    -- a day may have 23 hours, and months have other lengths than the 30 days that epoch takes them for
    SELECT min(planned + every * n)
    FROM (SELECT greatest(floor(extract(epoch FROM clock_timestamp() - planned) / extract(epoch FROM every)), 0)::bigint AS passed) p,
         LATERAL (SELECT CASE WHEN extract(year FROM every) + extract(month FROM every) = 0 THEN 2 ELSE 2 + p.passed / 20 END AS about) a,
         generate_series(greatest(p.passed - a.about, 0), p.passed + a.about) n
    WHERE planned + every * n > clock_timestamp()
$$;
COMMENT ON FUNCTION sync_planned_next(timestamptz, interval) IS 'The first moment after now of a schedule that has one at planned.';

-- A failed item comes back after 1, 2, 4, .. minutes, up to an hour or its interval, whichever is longer. One by one, each by its
-- key: together, without statistics, all items of the organisation would be read for each page. What an app has changed just now
-- is waited for, and noted as well.
CREATE FUNCTION sync_list_settle(org uuid, outcomes jsonb) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    o record;
BEGIN
    FOR o IN SELECT * FROM jsonb_to_recordset(outcomes)
             AS x (id uuid, status text, error text, target_id text, fingerprint uuid, modified_at timestamptz)
    LOOP
        UPDATE sync_list l
        SET last_sync_status = CASE o.status WHEN 'failed' THEN 'failed' WHEN 'skipped' THEN 'pending' ELSE 'success' END,
            last_outcome = o.status,
            error_message = o.error,
            last_synced_at = CASE WHEN o.status = 'failed' THEN l.last_synced_at ELSE clock_timestamp() END,
            target_id = coalesce(o.target_id, l.target_id),
            source_fingerprint = coalesce(o.fingerprint, l.source_fingerprint),
            source_modified_at = CASE WHEN o.fingerprint IS NULL THEN l.source_modified_at ELSE o.modified_at END,
            attempts = CASE WHEN o.status = 'failed' THEN l.attempts + 1 ELSE 0 END,
            planned_at = CASE WHEN o.status = 'failed' THEN coalesce(l.planned_at, l.next_due_at) END,
            next_due_at = CASE WHEN l.schedule_interval IS NOT NULL THEN sync_next_due(
                CASE WHEN o.status <> 'failed'
                     THEN sync_planned_next(coalesce(l.planned_at, l.next_due_at, clock_timestamp()), l.schedule_interval)
                     ELSE clock_timestamp() + least(interval '1 minute' * 2 ^ least(l.attempts, 30),
                                                    greatest(l.schedule_interval, '1 hour')) END,
                l.business_hours_start, l.business_hours_end, l.business_days, l.time_zone) END
        WHERE l.org_id = org AND l.id = o.id;
    END LOOP;
END
$$;
COMMENT ON FUNCTION sync_list_settle(uuid, jsonb) IS 'Notes how items went, and when they are due next.';

-- A creation whose answer was lost, of a record that nothing can be looked for by: only somebody who has looked knows.
CREATE FUNCTION sync_settle_creation(sync_list_id uuid, external_id text DEFAULT NULL) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    org uuid := sync_require('operate');
    found_id text := nullif(btrim(sync_settle_creation.external_id), '');
    item sync_list;
    settled text;
BEGIN
    IF found_id IS NULL AND sync_settle_creation.external_id IS NOT NULL OR length(found_id) > 200 THEN
        RAISE EXCEPTION 'external_id must have 1 to 200 characters' USING ERRCODE = '22023',
            HINT = 'Give the id that the record has in the target, or leave it out where it was not created.';
    END IF;
    SELECT * INTO item FROM sync_list l 
    WHERE l.org_id = org AND l.id = sync_settle_creation.sync_list_id AND sync_is_mine(l.user_id, 'operate');
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the sync list has no item "%"', sync_settle_creation.sync_list_id USING ERRCODE = '42704',
            HINT = 'SELECT id, item_type, source_id FROM sync_list lists them.';
    END IF;
    -- a run under way may be waiting for that very answer
    IF NOT pg_try_advisory_xact_lock(hashtextextended('sync_ext:lists:' || org, 0)) THEN
        RAISE EXCEPTION 'a run of the sync list is under way' USING ERRCODE = '55006',
            HINT = 'Try again when it has ended; sync_workers shows it.';
    END IF;
    UPDATE sync_idempotency_log i
    SET state = CASE WHEN found_id IS NULL THEN 'failed' ELSE 'done' END,
        result = coalesce(i.result, '{}') || jsonb_build_object('settled', true)
                 || CASE WHEN found_id IS NULL THEN '{"error": "it was not created"}' ELSE jsonb_build_object('externalId', found_id) END
    WHERE i.org_id = org AND i.state = 'intended'
      AND i.idempotency_key = sync_creation_key(item.target_platform, item.entity_type, item.source_platform, item.source_id)
    RETURNING i.state INTO settled;
    IF settled IS NULL THEN
        RAISE EXCEPTION 'no creation of this item is open' USING ERRCODE = '22023',
            DETAIL = 'Every attempt to create its record has ended with an answer, or was settled.',
            HINT = 'Set target_id of the item to say which record it is written to.';
    END IF;
    RETURN jsonb_build_object('itemId', item.id, 'created', found_id IS NOT NULL, 'externalId', found_id);
END
$$;
COMMENT ON FUNCTION sync_settle_creation(uuid, text) IS
    'Says what became of a creation whose answer was lost: the id that the record has in the target, '
    'or NULL where it was not created and may be tried again. {itemId, created, externalId}; 22023 where none is open.';

-- What a webhook has told of is not left waiting for its time.
CREATE FUNCTION sync_list_hurry(org uuid, source text, entity_type text, source_id text) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    UPDATE sync_list l SET planned_at = coalesce(l.planned_at, l.next_due_at), next_due_at = n.at
    FROM sync_list x,
         LATERAL (SELECT sync_next_due(clock_timestamp(), x.business_hours_start, x.business_hours_end,
                                       x.business_days, x.time_zone) AS at) n
    WHERE x.org_id = org AND x.entity_type = sync_list_hurry.entity_type
      AND x.source_platform = source AND x.source_id = sync_list_hurry.source_id
      AND x.is_active AND x.next_due_at > n.at AND x.attempts = 0
      AND l.org_id = x.org_id AND l.id = x.id
$$;
COMMENT ON FUNCTION sync_list_hurry(uuid, text, text, text) IS
    'Makes the items due that come from this record, but for those that wait after a failure.';
