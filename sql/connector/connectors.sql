-- Connectors: the configured remote systems.

CREATE TABLE integration_connector (
    org_id uuid NOT NULL DEFAULT sync_current_org(),
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    number int GENERATED ALWAYS AS IDENTITY,
    name text NOT NULL CHECK (name <> ''),
    kind text NOT NULL,
    base_url text NOT NULL,
    system text NOT NULL,
    settings jsonb NOT NULL DEFAULT '{}',
    credentials bytea NOT NULL,
    memo jsonb NOT NULL DEFAULT '{}',
    is_active boolean NOT NULL DEFAULT true,
    last_ok_at timestamptz,
    last_error text,
    tokens double precision NOT NULL DEFAULT 0,
    tokens_at timestamptz NOT NULL DEFAULT '-infinity',
    blocked_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, name),
    UNIQUE (org_id, number)
);
COMMENT ON TABLE integration_connector IS
    'A remote system of an organisation. Made by sync_connect; clients read the view sync_connectors.';
COMMENT ON COLUMN integration_connector.name IS 'What calls name it by (sync_type); by default its kind.';
COMMENT ON COLUMN integration_connector.number IS 'Short key used by the ledger.';
COMMENT ON COLUMN integration_connector.system IS
    'Which system it is: host, path, database. Ledger, checkpoints and items of sync lists hold ids of this one.';
COMMENT ON COLUMN integration_connector.credentials IS
    'Sealed with the key of sync_ext.key_file, bound to organisation and connector. No client may read it.';
COMMENT ON COLUMN integration_connector.memo IS 'What probing found out (authentication mode, routes); no secrets.';
COMMENT ON COLUMN integration_connector.tokens IS 'Requests that may be sent right now: the token bucket that all backends share.';
COMMENT ON COLUMN integration_connector.blocked_until IS 'The remote asked to wait until then (Retry-After).';

CREATE VIEW sync_connectors WITH (security_barrier) AS
SELECT org_id, id, name AS sync_type, kind, base_url, settings, is_active, last_ok_at, last_error, created_at, updated_at
FROM integration_connector
WHERE org_id = (SELECT sync_current_org());
COMMENT ON VIEW sync_connectors IS 'The connectors of the current organisation, without credentials.';

CREATE VIEW sync_kinds WITH (security_barrier) AS
SELECT kind, entity_types, settings, credentials, writes FROM sync_known_kinds();
COMMENT ON VIEW sync_kinds IS
    'Kinds of systems that can be connected: settings and credentials as '
    '{name: {"type", "default", "minimum", "maximum", "enum", "description"}}, '
    'and what sync lists can do to which entity types there, as {entity_type: ["create", "update"]}.';

CREATE FUNCTION sync_connector_of(org uuid, sync_type text) RETURNS integration_connector
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    found_row integration_connector;
BEGIN
    IF sync_type IS NULL THEN
        RAISE EXCEPTION 'sync_type must not be NULL' USING ERRCODE = '22023', HINT = 'A variable of the app may be empty.';
    END IF;
    SELECT * INTO found_row FROM integration_connector c WHERE c.org_id = org AND c.name = sync_type;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no connector "%"', sync_type USING ERRCODE = '42704',
            HINT = 'SELECT sync_type FROM sync_connectors lists them; sync_connect(...) makes one. '
                'One made in this transaction must be committed first.';
    END IF;
    RETURN found_row;
END
$$;
COMMENT ON FUNCTION sync_connector_of(uuid, text) IS 'The connector of that name; 42704 when there is none.';

-- The bucket holds at most two seconds' worth of requests, so that a pause doesn't become a burst.
CREATE FUNCTION sync_take_tokens(org uuid, connector int, wanted int, per_second double precision,
                                 OUT granted int, OUT wait_ms int, OUT blocked boolean)
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    c record;
    available double precision;
    moment timestamptz := clock_timestamp();
BEGIN
    SELECT tokens, tokens_at, blocked_until INTO c
    FROM integration_connector i WHERE i.org_id = org AND i.number = connector FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the connector is gone' USING ERRCODE = '42704';
    END IF;
    blocked := coalesce(c.blocked_until > moment, false);
    IF blocked THEN
        granted := 0;
        wait_ms := ceil(1000 * extract(epoch FROM c.blocked_until - moment));
        RETURN;
    END IF;
    available := least(2 * per_second,
                       c.tokens + per_second * least(3600, extract(epoch FROM moment - greatest(c.tokens_at, moment - interval '1 hour'))));
    granted := greatest(0, least(wanted, floor(available)));
    wait_ms := CASE WHEN granted > 0 THEN 0 ELSE ceil(1000 * (1 - available) / per_second) END;
    UPDATE integration_connector i SET tokens = available - granted, tokens_at = moment
    WHERE i.org_id = org AND i.number = connector;
END
$$;
COMMENT ON FUNCTION sync_take_tokens(uuid, int, int, double precision) IS
    'Takes up to `wanted` requests from the connector''s token bucket; says how long to wait when it is empty, '
    'and whether the remote has asked for that.';

CREATE FUNCTION sync_disconnect(sync_type text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    org uuid := sync_require('admin');
    c integration_connector := sync_connector_of(org, sync_type);
    e sync_entity;
BEGIN
    PERFORM sync_claim_local(org);
    c := sync_connector_of(org, sync_type);
    -- a list run writes to what it has opened, and notes in the ledger and the list what came of it, until it ends
    IF NOT sync_try_hold(format('sync_ext:opened:%s:%s', org, c.name)) THEN
        RAISE EXCEPTION 'a run of the sync list is at "%"', c.name USING ERRCODE = '55006',
            HINT = 'Try again when it has ended; sync_workers shows it.';
    END IF;
    -- in the order in which connecting locks them: what a run or the app writes meanwhile would stay behind, in a ledger of
    -- nobody's
    FOR e IN SELECT * FROM sync_entity x WHERE sync_kind_fields(c.kind, x.name) IS NOT NULL ORDER BY x.number LOOP
        PERFORM sync_hold_runs(org, c, e);
        PERFORM sync_lock_local(sync_layout_of(org, e.number), org);
    END LOOP;
    DELETE FROM sync_record r WHERE r.org_id = org AND r.connector = c.number;
    DELETE FROM sync_sweep s WHERE s.org_id = org AND s.connector = c.number;
    DELETE FROM sync_webhook_delivery w WHERE w.org_id = org AND w.connector = c.number;
    DELETE FROM sync_preview_item i WHERE i.org_id = org AND i.connector = c.number;
    DELETE FROM sync_comparison k WHERE k.org_id = org AND k.connector = c.number;
    PERFORM sync_retrack(org, x.number) FROM sync_entity x WHERE sync_kind_fields(c.kind, x.name) IS NOT NULL;
    PERFORM sync_rename_documents(org, x, c.name, sync_removed_name(c)) FROM sync_entity x;
    DELETE FROM sync_field_map f WHERE f.org_id = org AND f.connector = c.number;
    DELETE FROM sync_metadata m WHERE m.org_id = org AND m.sync_type = c.name;
    DELETE FROM sync_preview_cache p WHERE p.org_id = org AND p.sync_type = c.name;
    -- another system may be connected under this name: its records have the same ids, and are others
    UPDATE sync_list l
    SET is_active = false,
        error_message = CASE WHEN l.is_active THEN format('the connector "%s" was removed', c.name) ELSE l.error_message END,
        target_id = CASE WHEN l.target_platform = c.name THEN NULL ELSE l.target_id END,
        source_fingerprint = NULL,
        source_modified_at = NULL
    WHERE l.org_id = org AND c.name IN (l.source_platform, l.target_platform);
    DELETE FROM sync_idempotency_log i WHERE i.org_id = org AND c.name IN (i.result ->> 'source', i.result ->> 'target');
    DELETE FROM integration_connector i WHERE i.org_id = org AND i.id = c.id;
    RETURN true;
END
$$;
COMMENT ON FUNCTION sync_disconnect(text) IS
    'Removes a connector with its credentials and its ledger, and switches off items of sync lists that name it; '
    'what they were written to there is forgotten. Local tables stay as they are; '
    'documents that came from there are marked as a removed system''s, which gets them back when it is connected again.';
