-- What sync_scheduled() finds to do, over all organisations that a role may operate on. What has waited longest comes first,
-- and as much as a worker's reply has room for: the rest is asked for after it, by the place of the last one in that order.

-- Pulls that a crash broke off (they have a checkpoint, and nobody has taken them up since), and those that a webhook
-- asked for. After a failure the latter wait ten minutes: a shop that is down has nothing to tell.
CREATE FUNCTION sync_due_pulls(role_oid oid, after jsonb DEFAULT NULL)
    RETURNS TABLE (org_id uuid, sync_type text, entity_type text, reason text, since timestamptz)
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    WITH broken AS (
        SELECT r.org_id, c.name AS sync_type, r.entity_type, r.started_at AS since
        FROM sync_run r
        JOIN integration_connector c ON c.org_id = r.org_id AND c.number = r.connector AND c.is_active
        JOIN sync_metadata m ON m.org_id = r.org_id AND m.sync_type = c.name AND m.data_type = r.entity_type AND m.checkpoint IS NOT NULL
        WHERE r.kind IN ('pull', 'preview') AND r.status = 'interrupted' AND r.started_at > now() - interval '1 day'
          AND NOT EXISTS (SELECT FROM sync_run later
                          WHERE later.org_id = r.org_id AND later.connector = r.connector AND later.entity_type = r.entity_type
                            AND later.kind IN ('pull', 'preview') AND later.started_at > r.started_at)),
    hinted AS (
        SELECT d.org_id, c.name AS sync_type, e.name AS entity_type, d.received_at AS since
        FROM sync_webhook_delivery d
        JOIN integration_connector c ON c.org_id = d.org_id AND c.number = d.connector AND c.is_active
        JOIN sync_entity e ON e.number = d.entity
        WHERE d.status = 'noted'
          -- a hint asks for a pull now, and for another one once the remote has committed for certain
          AND (d.signature IS NOT NULL OR d.received_at < now() - sync_commit_lag()
               OR NOT EXISTS (SELECT FROM sync_run r
                              WHERE r.org_id = d.org_id AND r.connector = d.connector AND r.entity_type = e.name
                                AND r.kind IN ('pull', 'preview') AND r.status = 'done' AND r.started_at > d.received_at))
          AND NOT EXISTS (SELECT FROM sync_run r
                          WHERE r.org_id = d.org_id AND r.connector = d.connector AND r.entity_type = e.name
                            AND r.status = 'failed' AND r.started_at > now() - interval '10 minutes'))
    SELECT p.org_id, p.sync_type, p.entity_type, min(p.reason), min(p.since)
    FROM (SELECT b.*, 'interrupted' AS reason FROM broken b UNION ALL SELECT h.*, 'webhook' FROM hinted h) p
    WHERE sync_role_has(role_oid, p.org_id, 'operate')
      -- what the connector was for when it broke off may have been left out since
      AND EXISTS (SELECT FROM integration_connector c
                  WHERE c.org_id = p.org_id AND c.name = p.sync_type AND p.entity_type = ANY (sync_connector_entities(c.kind, c.settings)))
    GROUP BY p.org_id, p.sync_type, p.entity_type
    HAVING after IS NULL
        OR (min(p.since), p.org_id, p.sync_type, p.entity_type)
         > ((after ->> 'since')::timestamptz, (after ->> 'org_id')::uuid, after ->> 'sync_type', after ->> 'entity_type')
    ORDER BY min(p.since), p.org_id, p.sync_type, p.entity_type
    LIMIT 200
$$;
COMMENT ON FUNCTION sync_due_pulls(oid, jsonb) IS
    'Pulls that were broken off by a crash or asked for by a webhook, of all organisations that a role may operate on: '
    'up to 200 in the order in which they have waited, after that one.';

CREATE FUNCTION sync_due_lists(role_oid oid, after jsonb DEFAULT NULL)
    RETURNS TABLE (org_id uuid, items bigint, users bigint, oldest timestamptz)
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT d.org_id, d.items, d.users, d.oldest
    FROM (SELECT l.org_id, count(*) AS items, count(DISTINCT coalesce(l.user_id, '')) AS users, min(l.next_due_at) AS oldest
          FROM sync_list l
          WHERE l.is_active AND l.next_due_at <= now()
          GROUP BY l.org_id) d
    WHERE (after IS NULL OR (d.oldest, d.org_id) > ((after ->> 'oldest')::timestamptz, (after ->> 'org_id')::uuid))
      -- what is due of all users is carried out, or nothing
      AND sync_role_has(role_oid, d.org_id, 'operate', all_rows => true)
    ORDER BY d.oldest, d.org_id
    LIMIT 200
$$;
COMMENT ON FUNCTION sync_due_lists(oid, jsonb) IS
    'Organisations with items that are due, up to 200, the oldest first and after that one, '
    'as far as a role may operate on them.';

CREATE FUNCTION sync_due(role_oid oid, after jsonb DEFAULT NULL) RETURNS jsonb
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    IF after IS NULL THEN
        PERFORM sync_note_interrupted(o.org_id)
        FROM (SELECT DISTINCT r.org_id FROM sync_run r WHERE r.status = 'running') o
        WHERE sync_role_has(role_oid, o.org_id, 'operate');
    END IF;
    RETURN jsonb_build_object(
        'pulls', (SELECT coalesce(jsonb_agg(p ORDER BY p.since, p.org_id, p.sync_type, p.entity_type), '[]')
                  FROM sync_due_pulls(role_oid, after -> 'pull') p),
        'lists', (SELECT coalesce(jsonb_agg(d ORDER BY d.oldest, d.org_id), '[]') FROM sync_due_lists(role_oid, after -> 'list') d));
END
$$;
COMMENT ON FUNCTION sync_due(oid, jsonb) IS
    'What there is to do for sync_scheduled(), after marking what a crash left in progress; '
    'with the last pull and the last list of an answer, what comes after these.';
