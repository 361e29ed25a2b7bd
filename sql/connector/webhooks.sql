-- Webhooks: which deliveries were seen, and which records a later pull has still to read.

CREATE TABLE sync_webhook_delivery (
    org_id uuid NOT NULL,
    connector int NOT NULL,
    delivery text COLLATE "C" NOT NULL,
    signature text COLLATE "C",
    topic text NOT NULL,
    entity smallint NOT NULL,
    external_id text COLLATE "C" NOT NULL,
    status text NOT NULL CHECK (status IN ('done', 'noted')),
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (org_id, connector, delivery, entity, external_id)
);
-- the deliveries about one record, for telling a replay
CREATE INDEX sync_webhook_delivery_record ON sync_webhook_delivery (org_id, connector, entity, external_id, received_at);
CREATE INDEX sync_webhook_delivery_noted ON sync_webhook_delivery (org_id, connector, entity) WHERE status = 'noted';
COMMENT ON TABLE sync_webhook_delivery IS
    'Deliveries of webhooks that were accepted, to tell a replay. Kept for 30 days at most; sync_maintain deletes them.';
COMMENT ON COLUMN sync_webhook_delivery.delivery IS 'The sender''s name for it; for a hint, the record it names.';
COMMENT ON COLUMN sync_webhook_delivery.status IS 'done: the record has been read; noted: the next pull of the entity type reads it.';

-- WooCommerce names a delivery after its webhook and the second: a bulk edit sends many records under one name, and two edits
-- of one record. Nor is the name signed, so a replay may come under another one. What tells it is the signature: the body of
-- a record that was changed again differs. Only the body of a deletion is always the same ({"id": 5}): a record can be
-- deleted, restored and deleted again, hence the look at what came last.
CREATE FUNCTION sync_webhook_seen(org uuid, connector_no int, delivery_name text, signed text, about text, entity_no smallint,
                                  id text) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT EXISTS (SELECT FROM sync_webhook_delivery d
                   WHERE d.org_id = org AND d.connector = connector_no AND d.delivery = delivery_name
                     AND d.entity = entity_no AND d.external_id = id AND d.signature = signed AND d.status = 'done')
        OR EXISTS (SELECT FROM sync_webhook_delivery d
                   WHERE d.org_id = org AND d.connector = connector_no AND d.entity = entity_no AND d.external_id = id
                     AND d.signature = signed AND d.topic = about AND d.status = 'done'
                     AND (about NOT LIKE '%.deleted'
                          OR NOT EXISTS (SELECT FROM sync_webhook_delivery later
                                         WHERE later.org_id = org AND later.connector = connector_no
                                           AND later.entity = entity_no AND later.external_id = id
                                           AND later.received_at > d.received_at)))
$$;
COMMENT ON FUNCTION sync_webhook_seen(uuid, int, text, text, text, smallint, text) IS
    'Whether a delivery, or a replay of it under another name, has been carried out.';

CREATE FUNCTION sync_commit_lag() RETURNS interval
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN '1 minute'::interval;
COMMENT ON FUNCTION sync_commit_lag() IS 'How long a remote that tells of a change in the midst of it (a hint) may take to commit it.';

-- A hint that is still open isn't noted twice: remotes repeat themselves. But the lag counts from its last time.
CREATE FUNCTION sync_webhook_note(org uuid, connector_no int, delivery_name text, signed text, about text, entity_no smallint,
                                  id text, new_status text) RETURNS boolean
    LANGUAGE sql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    WITH noted AS (
        INSERT INTO sync_webhook_delivery AS d (org_id, connector, delivery, signature, topic, entity, external_id, status)
        VALUES (org, connector_no, delivery_name, signed, about, entity_no, id, new_status)
        ON CONFLICT ON CONSTRAINT sync_webhook_delivery_pkey
        DO UPDATE SET status = excluded.status, topic = excluded.topic, signature = excluded.signature, received_at = excluded.received_at
        WHERE d.status <> excluded.status OR d.signature IS DISTINCT FROM excluded.signature
           OR d.signature IS NULL AND d.received_at < excluded.received_at - sync_commit_lag() / 10
        RETURNING 1)
    SELECT EXISTS (SELECT FROM noted)
$$;
COMMENT ON FUNCTION sync_webhook_note(uuid, int, text, text, text, smallint, text, text) IS
    'Remembers a delivery; false when it stood there just so.';

-- A hint isn't settled by a pull that may have read before the remote committed.
CREATE FUNCTION sync_webhook_settle(org uuid, run_id text, entity_no smallint) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    UPDATE sync_webhook_delivery d SET status = 'done'
    FROM sync_run r
    WHERE r.org_id = org AND r.sync_id = run_id
      AND d.org_id = r.org_id AND d.connector = r.connector AND d.entity = entity_no AND d.status = 'noted'
      AND d.received_at < r.started_at - CASE WHEN d.signature IS NULL THEN sync_commit_lag() ELSE '0' END
$$;
COMMENT ON FUNCTION sync_webhook_settle(uuid, text, smallint) IS
    'Of the noted deliveries, those that a pull that ended well has read for certain are done.';
