-- Previews: the delta in short, what is suspicious of it, and its cache.

CREATE TABLE sync_preview_cache (
    org_id uuid NOT NULL DEFAULT sync_current_org(),
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    sync_type text NOT NULL,
    entity_type text NOT NULL DEFAULT 'all',
    delta_data jsonb NOT NULL,
    computed_by text DEFAULT nullif(current_setting('app.current_user_id', true), ''),
    cache_key text,
    computed_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL DEFAULT now() + interval '1 hour',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    preview_id uuid,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, sync_type, entity_type)
);
CREATE INDEX sync_preview_cache_expiry ON sync_preview_cache (expires_at);
COMMENT ON TABLE sync_preview_cache IS
    'Previews as computed, until they expire; and what apps keep here themselves, which no preview is answered from.';
COMMENT ON COLUMN sync_preview_cache.preview_id IS 'The preview that a worker has computed; NULL in rows that anybody else has written.';

-- Apps may write what they like, under the key of a preview as well. Only what a worker writes with the extension's own rights (code
-- of a bound relation has others) is a preview.
CREATE FUNCTION sync_preview_made() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    IF NEW.preview_id IS NOT NULL
       AND NOT (sync_worker_alive(pg_backend_pid())
                AND EXISTS (SELECT FROM pg_roles r WHERE r.oid = 10 AND r.rolname = current_user)) THEN
        NEW.preview_id := NULL;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION sync_preview_made() IS 'Trigger: a row that no worker of the extension writes is no preview.';
-- a restored preview is one
CREATE TRIGGER sync_preview_made BEFORE INSERT OR UPDATE ON sync_preview_cache
    FOR EACH ROW WHEN (current_setting('row_security') = 'on' OR current_setting('check_function_bodies') = 'on')
    EXECUTE FUNCTION sync_preview_made();

CREATE TABLE sync_selective_config (
    org_id uuid NOT NULL DEFAULT sync_current_org(),
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    entity_type text NOT NULL,
    config jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, entity_type)
);
COMMENT ON TABLE sync_selective_config IS
    'Per entity type: which classes of changes an organisation wants applied. Written by sync_select.';

-- What is stored here decides over what applies write and delete: a slip of the pen must not pass for a choice.
CREATE FUNCTION sync_selective_check() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    known CONSTANT text[] := '{includeNew,includeUpdated,includeDeleted}';
    odd text;
BEGIN
    NEW.entity_type := (sync_entity_of(NEW.entity_type)).name;
    IF jsonb_typeof(NEW.config) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'config of % must be an object', NEW.entity_type USING ERRCODE = '22023',
            HINT = 'For instance {"includeDeleted": true}.';
    END IF;
    SELECT c.key INTO odd FROM jsonb_each(NEW.config) c
    WHERE c.key <> ALL (known) OR jsonb_typeof(c.value) NOT IN ('boolean', 'null') LIMIT 1;
    IF odd = ANY (known) THEN
        RAISE EXCEPTION '"%" of % must be true or false', odd, NEW.entity_type USING ERRCODE = '22023';
    ELSIF odd IS NOT NULL THEN
        RAISE EXCEPTION 'config of % has no "%"', NEW.entity_type, odd USING ERRCODE = '22023',
            HINT = 'It has includeNew, includeUpdated and includeDeleted.';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION sync_selective_check() IS 'Trigger: checks the entity type and what is chosen for it.';
CREATE TRIGGER sync_selective_check BEFORE INSERT OR UPDATE ON sync_selective_config FOR EACH ROW EXECUTE FUNCTION sync_selective_check();

-- No more are counted than it takes to judge: what is judged is compared with a share of them.
CREATE FUNCTION sync_count_linked(org uuid, c integration_connector, e sync_entity, at_most bigint) RETURNS bigint
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT count(*)
    FROM (SELECT FROM sync_record r
          WHERE r.org_id = org AND r.connector = c.number AND r.entity = e.number AND r.local_id IS NOT NULL
            AND (r.external_id IS NOT NULL OR sync_is_mirror(c))
          LIMIT at_most) x
$$;
COMMENT ON FUNCTION sync_count_linked(uuid, integration_connector, sync_entity, bigint) IS
    'How many local rows are linked (of a mirror: all); not more than at_most, where that is given.';

CREATE FUNCTION sync_is_mass(org uuid, c integration_connector, e sync_entity, n bigint, percent int, at_least bigint) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT n > 0 AND l.linked >= at_least AND n * 100 > l.linked * percent
    FROM sync_count_linked(org, c, e, greatest(at_least, n * 100 / greatest(percent, 1) + 1)) l (linked)
$$;
COMMENT ON FUNCTION sync_is_mass(uuid, integration_connector, sync_entity, bigint, int, bigint) IS
    'Whether n is more than that share of the linked rows, where there are at least so many.';

CREATE FUNCTION sync_is_mass_delete(org uuid, c integration_connector, e sync_entity, n bigint) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT n > 0 AND sync_is_mass(org, c, e, n, current_setting('sync_ext.mass_delete_percent')::int, 0)
$$;
COMMENT ON FUNCTION sync_is_mass_delete(uuid, integration_connector, sync_entity, bigint) IS
    'Whether so many deletions are more than sync_ext.mass_delete_percent allows.';

-- Of some changed records, how many lose which field.
CREATE FUNCTION sync_count_emptied(k sync_comparison, chosen bigint[]) RETURNS TABLE (field text, n bigint)
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    WITH records AS MATERIALIZED (
        SELECT r.local_id, r.remote
        FROM unnest(chosen) t (id)
        CROSS JOIN LATERAL (SELECT * FROM sync_record x WHERE x.org_id = k.org_id AND x.id = t.id LIMIT 1) r
        WHERE r.change = 'updated')
    SELECT f, count(*)
    FROM records r
    JOIN sync_local_records(k.layout, k.org_id, ARRAY(SELECT x.local_id FROM records x)) l ON l.local_id = r.local_id
    CROSS JOIN LATERAL unnest(sync_emptied(k.spec, l.record, r.remote)) f
    GROUP BY f
$$;
COMMENT ON FUNCTION sync_count_emptied(sync_comparison, bigint[]) IS
    'Which compared fields of these changed records would become empty, and of how many.';

-- A thousand of them, spread over all, tell whether there is anything to count: what more than half of all lose, a quarter of
-- these would.
CREATE FUNCTION sync_emptied_fields(k sync_comparison, ids bigint[]) RETURNS jsonb
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    n int := cardinality(ids);
    sampled bigint[] := ARRAY(SELECT ids[i] FROM generate_series(1, n, greatest(1, n / 1000)) i);
    counts jsonb := (SELECT jsonb_object_agg(f.field, f.n) FROM sync_count_emptied(k, sampled) f WHERE f.n * 4 > cardinality(sampled));
BEGIN
    IF counts IS NOT NULL AND cardinality(sampled) < n THEN
        -- a slice of an array would copy all of it first, for each thousand
        SELECT jsonb_object_agg(x.field, x.n) INTO counts
        FROM (SELECT f.field, sum(f.n)::bigint AS n
              FROM (SELECT array_agg(t.id) AS part FROM unnest(ids) WITH ORDINALITY t (id, place) GROUP BY t.place / 1000) p
              CROSS JOIN LATERAL sync_count_emptied(k, p.part) f
              GROUP BY 1) x;
    END IF;
    RETURN coalesce((SELECT jsonb_object_agg(f.key, f.value) FROM jsonb_each(counts) f WHERE f.value::bigint * 2 > n), '{}');
END
$$;
COMMENT ON FUNCTION sync_emptied_fields(sync_comparison, bigint[]) IS
    'Fields that more than half of these changed records would lose: {field: count}.';

-- What happens to a shop by accident (an import that went wrong, a plugin that hides a field) looks like many updates. Below a
-- hundred records, half of them may well have been edited.
CREATE FUNCTION sync_mass_update(org uuid, c integration_connector, e sync_entity, ids bigint[], n bigint) RETURNS jsonb
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    k sync_comparison;
    emptied jsonb;
BEGIN
    SELECT * INTO k FROM sync_comparison x WHERE x.org_id = org AND x.connector = c.number AND x.entity = e.number;
    IF NOT FOUND OR cardinality(ids) = 0 THEN
        RETURN '{}';
    END IF;
    SELECT coalesce(jsonb_object_agg(f.key, f.value::bigint * n / cardinality(ids)), '{}') INTO emptied
    FROM jsonb_each(sync_emptied_fields(k, ids)) f;
    RETURN CASE WHEN emptied = '{}' THEN '{}' ELSE jsonb_build_object('emptied', emptied) END
        || CASE WHEN emptied <> '{}' AND n >= 100
                  OR sync_is_mass(org, c, e, n, current_setting('sync_ext.mass_update_percent')::int, 100)
                THEN '{"massUpdate": true}'::jsonb ELSE '{}' END;
END
$$;
COMMENT ON FUNCTION sync_mass_update(uuid, integration_connector, sync_entity, bigint[], bigint) IS
    'Marks of n updates, of which all or some are given: massUpdate where they are more than sync_ext.mass_update_percent '
    'of a hundred or more linked records, or empty a field of a hundred or more; '
    'emptied: {field: count} for what more than half of them lose.';

CREATE FUNCTION sync_delta_summary(org uuid, c integration_connector, e sync_entity, sample bigint, is_exact boolean) RETURNS jsonb
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    updated jsonb := sync_delta_class(org, c, e, 'updated', sample, is_exact);
    deleted jsonb := sync_delta_class(org, c, e, 'deleted', sample, is_exact);
BEGIN
    updated := updated || sync_mass_update(org, c, e, ARRAY(
        SELECT r.id FROM sync_record r
        WHERE r.org_id = org AND r.connector = c.number AND r.entity = e.number AND r.change = 'updated'
        ORDER BY r.id LIMIT CASE WHEN is_exact THEN NULL ELSE 20000 END), (updated ->> 'count')::bigint);
    IF sync_is_mass_delete(org, c, e, (deleted ->> 'count')::bigint) THEN
        deleted := deleted || '{"massDelete": true}';
    END IF;
    updated := updated || jsonb_strip_nulls(jsonb_build_object('sharedWith', sync_shared_with(org, c.number, e.number)));
    RETURN jsonb_build_object('new', sync_delta_class(org, c, e, 'new', sample, is_exact), 'updated', updated, 'deleted', deleted,
                              'ambiguous', sync_delta_class(org, c, e, 'ambiguous', sample, is_exact));
END
$$;
COMMENT ON FUNCTION sync_delta_summary(uuid, integration_connector, sync_entity, bigint, boolean) IS
    'Counts and first records of every class of changes, with massDelete, massUpdate and emptied where they are; '
    'large counts are estimated where they aren''t asked to be exact.';

CREATE FUNCTION sync_store_preview(org uuid, sync_type text, entity_type text, computed_by text, ttl interval, meta jsonb) RETURNS jsonb
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    c integration_connector := sync_connector_of(org, sync_store_preview.sync_type);
    e sync_entity := sync_entity_of(sync_store_preview.entity_type);
    expires timestamptz := now() + ttl;
    preview_id uuid := gen_random_uuid();
    preview jsonb;
BEGIN
    PERFORM sync_keep_changes(org, c, e, preview_id, '{new,updated,deleted}', true, expires);
    preview := jsonb_build_object(
        'previewId', preview_id,
        'syncType', c.name,
        'entityType', e.name,
        'delta', sync_delta_summary(org, c, e, 20, true),
        'unlinked', sync_unlinked_count(org, c.number, e.number),
        'computedAt', now(),
        'expiresAt', expires,
        -- as it will be answered from here; to add something then would copy all of it, which takes longer than all else
        'cacheHit', true,
        'meta', meta || jsonb_build_object('timestamp', now()));
    INSERT INTO sync_preview_cache AS p (org_id, sync_type, entity_type, delta_data, computed_by, cache_key, expires_at, preview_id)
    VALUES (org, c.name, e.name, preview, sync_store_preview.computed_by, meta ->> 'requestId', expires, preview_id)
    ON CONFLICT (org_id, sync_type, entity_type)
    DO UPDATE SET preview_id = excluded.preview_id, delta_data = excluded.delta_data,
                  computed_by = excluded.computed_by, cache_key = excluded.cache_key,
                  computed_at = now(), expires_at = excluded.expires_at, updated_at = now();
    RETURN preview;
END
$$;
COMMENT ON FUNCTION sync_store_preview(uuid, text, text, text, interval, jsonb) IS 'Computes a preview from the ledger and caches it.';

-- The cached answer is one statement beside the check of rights; only a miss starts a worker (sync_refresh_preview).
CREATE FUNCTION sync_preview(sync_type text, entity_type text, force_refresh boolean DEFAULT false) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    org uuid := sync_require('read');
    entity_name text;
    meta jsonb;
    preview jsonb;
BEGIN
    IF force_refresh IS NOT TRUE THEN
        SELECT p.delta_data INTO preview
        FROM sync_entity e
        JOIN sync_preview_cache p ON p.entity_type = e.name
        WHERE lower(btrim(sync_preview.entity_type)) IN (e.name, e.singular)
          AND p.org_id = org AND p.sync_type = sync_preview.sync_type AND p.expires_at > clock_timestamp()
          AND p.preview_id IS NOT NULL;
        IF FOUND THEN
            IF current_setting('sync_ext.log_cache_hits', true)::boolean AND NOT current_setting('transaction_read_only')::boolean THEN
                PERFORM sync_log(org, 'preview', preview ->> 'entityType',
                                 jsonb_build_object('syncType', sync_type, 'cacheHit', true, 'requestId', preview #> '{meta,requestId}'));
            END IF;
            RETURN preview;
        END IF;
    END IF;
    entity_name := (sync_entity_of(entity_type)).name;
    meta := sync_refresh_preview(sync_type, entity_name);
    SELECT p.delta_data INTO preview FROM sync_preview_cache p
    WHERE p.org_id = org AND p.sync_type = sync_preview.sync_type AND p.entity_type = entity_name AND p.preview_id IS NOT NULL;
    IF NOT FOUND THEN
        -- a webhook or another pull has dropped it since, or an app has written over it: the ledger has what it would say now
        preview := sync_detect(sync_type, entity_name) - '{new,updated,deleted}'::text[]
            || jsonb_build_object('meta', meta || jsonb_build_object('timestamp', now()));
    END IF;
    RETURN preview || '{"cacheHit": false}';
END
$$;
COMMENT ON FUNCTION sync_preview(text, text, boolean) IS
    'What would be new, updated and deleted locally: from the cache, or fresh through a worker that pulls what changed. '
    '{syncType, entityType, delta: {new, updated, deleted, ambiguous: {count, records}}, massUpdate, '
    'emptied and massDelete beside counts where they are, unlinked, computedAt, expiresAt, cacheHit, meta: {timestamp, '
    'requestId, processingTime, pull}}, meta being that of the request that computed it; '
    'updated.sharedWith: {connector: count} where others hold such rows otherwise.';

CREATE FUNCTION sync_detect(sync_type text, entity_type text) RETURNS jsonb
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    org uuid := sync_require('read');
    c integration_connector := sync_connector_of(org, sync_detect.sync_type);
    e sync_entity := sync_entity_of(sync_detect.entity_type);
    delta jsonb := sync_delta_summary(org, c, e, 20, false);
BEGIN
    RETURN jsonb_build_object(
        'syncType', c.name, 'entityType', e.name,
        'new', delta #> '{new,records}', 'updated', delta #> '{updated,records}', 'deleted', delta #> '{deleted,records}',
        'delta', delta, 'unlinked', sync_unlinked_count(org, c.number, e.number), 'computedAt', now());
END
$$;
COMMENT ON FUNCTION sync_detect(text, text) IS
    'The delta of one entity type with counts and first records, from the ledger alone: new, '
    'updated and deleted are the records, delta has their counts, too. Counts above 20,000 are estimates, and say so.';

CREATE FUNCTION detect_customer_delta(sync_type text) RETURNS jsonb
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$ BEGIN RETURN sync_detect(sync_type, 'customers'); END $$;
COMMENT ON FUNCTION detect_customer_delta(text) IS
    'The delta of customers with counts and first records, from the ledger alone: {syncType, entityType, new, updated, '
    'deleted: the first 20 records each, delta: as sync_preview has it, unlinked, computedAt}. '
    'Counts above 20,000 are estimates, and say so.';

CREATE FUNCTION detect_product_delta(sync_type text) RETURNS jsonb
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$ BEGIN RETURN sync_detect(sync_type, 'products'); END $$;
COMMENT ON FUNCTION detect_product_delta(text) IS
    'The delta of products and variations with counts and first records, from the ledger alone: '
    '{syncType, entityType, new, updated, deleted: the first 20 records each, delta: as sync_preview has it, unlinked, '
    'computedAt}. Counts above 20,000 are estimates, and say so.';

CREATE FUNCTION detect_order_delta(sync_type text) RETURNS jsonb
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$ BEGIN RETURN sync_detect(sync_type, 'orders'); END $$;
COMMENT ON FUNCTION detect_order_delta(text) IS
    'The delta of orders with counts and first records, from the ledger alone: {syncType, entityType, new, updated, '
    'deleted: the first 20 records each, delta: as sync_preview has it, unlinked, computedAt}. '
    'Counts above 20,000 are estimates, and say so.';

CREATE FUNCTION sync_invalidate_preview(sync_type text DEFAULT NULL, entity_type text DEFAULT NULL) RETURNS int
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    org uuid := sync_require('operate');
    entity_name text;
    n int;
BEGIN
    IF entity_type IS NOT NULL THEN
        entity_name := CASE WHEN lower(entity_type) = 'all' THEN 'all' ELSE (sync_entity_of(entity_type)).name END;
    END IF;
    DELETE FROM sync_preview_cache p
    WHERE p.org_id = org
      AND (sync_invalidate_preview.sync_type IS NULL OR p.sync_type = sync_invalidate_preview.sync_type)
      AND (entity_name IS NULL OR p.entity_type = entity_name);
    GET DIAGNOSTICS n = ROW_COUNT;
    PERFORM sync_log(org, 'invalidate_preview', entity_name, jsonb_build_object('syncType', sync_invalidate_preview.sync_type), n);
    RETURN n;
END
$$;
COMMENT ON FUNCTION sync_invalidate_preview(text, text) IS
    'Drops cached previews of the organisation (all, of one connector, of one entity type); returns how many.';

CREATE FUNCTION auto_cleanup_preview_cache() RETURNS int
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    n int;
BEGIN
    -- over every organisation that the caller may operate on: pg_cron has no current one
    DELETE FROM sync_preview_cache p
    WHERE p.expires_at <= now() AND sync_role_has(sync_caller(), p.org_id, 'operate');
    GET DIAGNOSTICS n = ROW_COUNT;
    DELETE FROM sync_preview_item i
    WHERE i.expires_at <= now() AND sync_role_has(sync_caller(), i.org_id, 'operate');
    RETURN n;
END
$$;
COMMENT ON FUNCTION auto_cleanup_preview_cache() IS
    'Deletes expired previews of every organisation the caller may operate on; returns how many.';

CREATE FUNCTION sync_select(
    entity_type text, include_new boolean DEFAULT true, include_updated boolean DEFAULT true, include_deleted boolean DEFAULT false)
    RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    org uuid := sync_require('operate');
    e sync_entity := sync_entity_of(sync_select.entity_type);
    chosen jsonb := jsonb_build_object('includeNew', coalesce(include_new, true), 'includeUpdated', coalesce(include_updated, true),
                                       'includeDeleted', coalesce(include_deleted, false));
    reply jsonb;
BEGIN
    INSERT INTO sync_selective_config AS s (org_id, entity_type, config) VALUES (org, e.name, chosen)
    ON CONFLICT (org_id, entity_type) DO UPDATE SET config = excluded.config, updated_at = now();
    -- what is shown next is what was chosen for
    DELETE FROM sync_preview_cache p WHERE p.org_id = org AND p.entity_type = e.name AND p.preview_id IS NOT NULL;
    reply := jsonb_build_object('entityType', e.name, 'selectiveSyncConfig', chosen, 'appliedAt', now());
    PERFORM sync_log(org, 'select', e.name, reply);
    RETURN reply;
END
$$;
COMMENT ON FUNCTION sync_select(text, boolean, boolean, boolean) IS
    'Stores which classes of changes of an entity type the organisation wants applied, and drops its previews: '
    '{entityType, selectiveSyncConfig: {includeNew, includeUpdated, includeDeleted}, appliedAt}.';
