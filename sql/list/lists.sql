-- Sync lists: single items that are kept in sync between a source and a target, each on its schedule.

CREATE TABLE sync_list (
    org_id uuid NOT NULL DEFAULT sync_current_org(),
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    user_id text DEFAULT nullif(current_setting('app.current_user_id', true), ''),
    item_type text NOT NULL,
    entity_type text GENERATED ALWAYS AS (sync_item_entity(item_type)) STORED,
    is_stock boolean GENERATED ALWAYS AS (sync_item_is_stock(item_type)) STORED,
    source_platform text NOT NULL,
    target_platform text NOT NULL DEFAULT 'local',
    source_id text NOT NULL CHECK (source_id <> ''),
    target_id text CHECK (target_id <> ''),
    sync_mode text NOT NULL DEFAULT 'delta' CHECK (sync_mode IN ('delta', 'full')),
    fields text[] CHECK (cardinality(fields) > 0),
    is_active boolean NOT NULL DEFAULT true,
    priority int NOT NULL DEFAULT 0 CHECK (priority BETWEEN -1000000 AND 1000000),
    schedule_interval interval DEFAULT '1 hour' CHECK (schedule_interval >= '1 minute'),
    business_hours_start time,
    business_hours_end time,
    business_days int[] CHECK (cardinality(business_days) > 0 AND business_days <@ '{1,2,3,4,5,6,7}'),
    time_zone text NOT NULL DEFAULT 'UTC',
    next_due_at timestamptz,
    planned_at timestamptz,
    attempts int NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    last_synced_at timestamptz,
    last_sync_status text DEFAULT 'pending' CHECK (last_sync_status IN ('pending', 'success', 'failed')),
    last_outcome text,
    error_message text,
    source_fingerprint uuid,
    source_modified_at timestamptz,
    filter_config jsonb,
    metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id),
    CONSTRAINT sync_list_platforms CHECK (source_platform <> target_platform),
    CONSTRAINT sync_list_business_hours CHECK ((business_hours_start IS NULL) = (business_hours_end IS NULL)
                                               AND business_hours_start <> business_hours_end)
) WITH (fillfactor = 80);
-- the same item of the same user goes to a target once; what sync_list_add_from_pattern relies on
-- as of the ledger: a new organisation is to be looked up by what is looked for, too
ALTER TABLE sync_list ALTER COLUMN org_id SET STATISTICS 0;

CREATE UNIQUE INDEX sync_list_item ON sync_list
    (org_id, entity_type, source_platform, source_id, target_platform, is_stock, coalesce(user_id, ''));
CREATE INDEX sync_list_due ON sync_list (org_id, next_due_at) WHERE is_active AND next_due_at IS NOT NULL;
-- the order in which a run carries items out, page by page: each page would else sort all that are left
CREATE INDEX sync_list_in_order ON sync_list (org_id, (-priority), created_at, id) WHERE is_active;
CREATE INDEX sync_list_due_in_order ON sync_list (org_id, (-priority), next_due_at, id) WHERE is_active AND next_due_at IS NOT NULL;
-- what sync_scheduled() looks for, over all organisations
CREATE INDEX sync_list_due_anywhere ON sync_list (next_due_at) WHERE is_active;
COMMENT ON TABLE sync_list IS
    'Items that are kept in sync between a source and a target. '
    'Apps insert and update rows; sync_delta, sync_full and sync_scheduled carry them out.';
COMMENT ON COLUMN sync_list.item_type IS
    'Entity type, singular or plural, or inventory: the stock of a product. '
    'One that the kinds of both connectors have; asked when an active item is written.';
COMMENT ON COLUMN sync_list.entity_type IS 'The entity type that item_type stands for.';
COMMENT ON COLUMN sync_list.is_stock IS 'Whether only the stock of a product is meant.';
COMMENT ON COLUMN sync_list.fields IS
    'Only these fields are written, in their names of sync_fields() or custom.* as mapped; NULL: all. '
    'What the target lacks is created only where they hold what it is found by.';
COMMENT ON COLUMN sync_list.source_platform IS 'Where the item comes from: the name of a connector (sync_type), or local.';
COMMENT ON COLUMN sync_list.target_platform IS 'Where it goes: the name of a connector, or local.';
COMMENT ON COLUMN sync_list.target_id IS 'The item''s id in the target. Empty: found by match key, or created; kept from then on.';
COMMENT ON COLUMN sync_list.sync_mode IS 'delta: written when the source has changed; full: written every time.';
COMMENT ON COLUMN sync_list.priority IS 'Higher ones come first.';
COMMENT ON COLUMN sync_list.schedule_interval IS 'How often sync_scheduled() carries the item out; NULL: only when called for.';
COMMENT ON COLUMN sync_list.business_hours_start IS
    'Only between start and end, in time_zone; an end before the start is the next morning.';
COMMENT ON COLUMN sync_list.business_days IS 'Only on these days: 1 is Monday, 7 Sunday. NULL: on any.';
COMMENT ON COLUMN sync_list.next_due_at IS
    'When sync_scheduled() carries it out next: by schedule_interval from the time before, whenever it was carried out; '
    'sooner after a webhook or a failure.';
COMMENT ON COLUMN sync_list.planned_at IS
    'When it was due by the schedule, while next_due_at says otherwise (after a webhook or a failure).';
COMMENT ON COLUMN sync_list.attempts IS 'Failures in a row; each doubles the wait for the next attempt.';
COMMENT ON COLUMN sync_list.last_sync_status IS 'pending (not carried out yet, or held back by its filter), success or failed.';
COMMENT ON COLUMN sync_list.last_outcome IS 'What that was: created, updated, unchanged, skipped or failed.';
COMMENT ON COLUMN sync_list.source_fingerprint IS 'Fingerprint of the source record when it was last written.';
COMMENT ON COLUMN sync_list.source_modified_at IS 'Its modification time then.';
COMMENT ON COLUMN sync_list.filter_config IS
    'The item is carried out only while its record meets these filters (those of saved_search_patterns).';

CREATE FUNCTION sync_next_due(earliest timestamptz, opens time, closes time, days int[], zone text) RETURNS timestamptz
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    wanted timestamp := earliest AT TIME ZONE zone;
    day date;
BEGIN
    IF opens IS NULL AND days IS NULL THEN
        RETURN earliest;
    END IF;
    -- hours that end after midnight belong to the day they begin on, so yesterday's count too
    FOR ahead IN -1..8 LOOP
        day := wanted::date + ahead;
        CONTINUE WHEN extract(isodow FROM day)::int <> ALL (days);
        IF wanted < day + coalesce(closes, '24:00') + (CASE WHEN closes <= opens THEN interval '1 day' ELSE '0' END) THEN
            RETURN greatest(earliest, (day + coalesce(opens, '00:00')) AT TIME ZONE zone);
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION sync_next_due(timestamptz, time, time, int[], text) IS
    'The first moment from `earliest` on that lies in the business hours of a schedule.';

CREATE FUNCTION sync_list_check_platform(org uuid, platform text, entity_name text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    c integration_connector;
BEGIN
    IF platform = 'local' THEN
        RETURN;
    END IF;
    c := sync_connector_of(org, platform);
    IF entity_name <> ALL (sync_kind_entities(c.kind)) THEN
        RAISE EXCEPTION 'a connector of kind "%" has no %', c.kind, entity_name USING ERRCODE = '22023',
            DETAIL = format('"%s" is one.', c.name),
            HINT = format('Its entity types: %s.', array_to_string(sync_kind_entities(c.kind), ', '));
    END IF;
END
$$;
COMMENT ON FUNCTION sync_list_check_platform(uuid, text, text) IS
    'Refuses a platform that is neither local nor a connector of the organisation, and one whose kind hasn''t that entity '
    'type.';

CREATE FUNCTION sync_check_time_zone(zone text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    PERFORM now() AT TIME ZONE zone;
EXCEPTION WHEN invalid_parameter_value THEN
    RAISE EXCEPTION 'unknown time zone "%"', zone USING ERRCODE = '22023',
        HINT = 'Use a name as in pg_timezone_names, for instance Europe/Berlin.';
END
$$;
COMMENT ON FUNCTION sync_check_time_zone(text) IS 'Refuses a time zone that Postgres doesn''t know.';

-- What a target may hold of a record is for the run to find out; what nobody can hold is refused here.
CREATE FUNCTION sync_list_check_fields(item sync_list) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    unknown text := sync_item_misfit(item.item_type, item.fields);
    unmapped text;
BEGIN
    IF unknown IS NOT NULL THEN
        RAISE EXCEPTION 'an item of type "%" has no field "%"', item.item_type, unknown USING ERRCODE = '22023',
            HINT = format('SELECT field FROM sync_fields(%L) lists them.', sync_item_entity(item.item_type));
    END IF;
    SELECT f INTO unmapped FROM unnest(item.fields) f
    WHERE f LIKE 'custom.%' AND NOT EXISTS (
        SELECT FROM sync_field_map m
        JOIN integration_connector c ON c.org_id = item.org_id AND c.name = item.source_platform AND c.number = m.connector
        JOIN sync_entity e ON e.number = m.entity AND e.name = sync_item_entity(item.item_type)
        WHERE m.org_id = item.org_id AND 'custom.' || m.field = f AND item.target_platform = 'local');
    IF FOUND THEN
        RAISE EXCEPTION 'field "%" is not mapped for this item', unmapped USING ERRCODE = '22023',
            DETAIL = 'Custom fields are those that sync_map takes from the source''s records, and are written to local.';
    END IF;
END
$$;
COMMENT ON FUNCTION sync_list_check_fields(sync_list) IS 'Refuses fields that an item of that type can''t have.';

-- SECURITY DEFINER: clients can't read connectors. Another organisation's are not told about either: there, nothing
-- is checked, and the row-level security refuses the row.
CREATE FUNCTION sync_list_check() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    first_due timestamptz;
    -- generated columns are made after this
    entity_name text := sync_item_entity(NEW.item_type);
BEGIN
    NEW.source_platform := CASE WHEN lower(NEW.source_platform) = 'local' THEN 'local' ELSE NEW.source_platform END;
    NEW.target_platform := CASE WHEN lower(NEW.target_platform) = 'local' THEN 'local' ELSE NEW.target_platform END;
    IF NEW.source_platform = NEW.target_platform THEN
        RAISE EXCEPTION 'source and target are both "%"', NEW.source_platform USING ERRCODE = '22023',
            HINT = 'One of them is local, or another connector.';
    END IF;
    IF NOT sync_role_has(sync_caller(), NEW.org_id, 'operate') THEN
        RETURN NEW;
    END IF;
    -- an item whose connector is gone, or hasn't what it is, can still be switched off
    IF NEW.is_active THEN
        PERFORM sync_list_check_platform(NEW.org_id, NEW.source_platform, entity_name);
        PERFORM sync_list_check_platform(NEW.org_id, NEW.target_platform, entity_name);
    END IF;
    PERFORM sync_check_time_zone(NEW.time_zone);
    PERFORM sync_list_check_fields(NEW);
    IF NEW.filter_config IS NOT NULL AND NEW.source_platform = 'local' THEN
        RAISE EXCEPTION 'filter_config needs a connector as the source' USING ERRCODE = '22023',
            HINT = 'Filters are evaluated over what a connector has delivered.';
    END IF;
    IF NEW.filter_config IS NOT NULL THEN
        PERFORM sync_filter_fits(sync_parse_filter(NEW.filter_config), e) FROM sync_entity e WHERE e.name = entity_name;
    END IF;
    first_due := CASE WHEN NEW.schedule_interval IS NOT NULL THEN
        sync_next_due(now(), NEW.business_hours_start, NEW.business_hours_end, NEW.business_days, NEW.time_zone) END;
    IF TG_OP = 'INSERT' THEN
        NEW.next_due_at := CASE WHEN NEW.schedule_interval IS NOT NULL THEN coalesce(NEW.next_due_at, first_due) END;
        RETURN NEW;
    END IF;
    IF (entity_name, NEW.source_platform, NEW.source_id, NEW.target_platform)
       IS DISTINCT FROM (OLD.entity_type, OLD.source_platform, OLD.source_id, OLD.target_platform) THEN
        -- another item: what was written of the old one says nothing about it
        NEW.source_fingerprint := NULL;
        NEW.source_modified_at := NULL;
        NEW.last_sync_status := 'pending';
        NEW.last_outcome := NULL;
        NEW.error_message := NULL;
        IF NEW.target_id IS NOT DISTINCT FROM OLD.target_id THEN
            NEW.target_id := NULL;
        END IF;
    END IF;
    IF (sync_item_is_stock(NEW.item_type), NEW.fields) IS DISTINCT FROM (OLD.is_stock, OLD.fields) THEN
        -- what is chosen now has never been written
        NEW.source_fingerprint := NULL;
    END IF;
    IF NEW.next_due_at IS NOT DISTINCT FROM OLD.next_due_at THEN
        NEW.next_due_at := first_due;
        NEW.planned_at := NULL;
        NEW.attempts := 0;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION sync_list_check() IS 'Checks an item, and computes when it is due first.';

CREATE FUNCTION sync_list_touch() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    IF NEW.updated_at IS NOT DISTINCT FROM OLD.updated_at THEN
        NEW.updated_at := now();
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION sync_list_touch() IS 'Keeps updated_at.';

-- Not while a dump is restored (its sessions set both): connectors may come later.
CREATE TRIGGER sync_list_check_insert BEFORE INSERT ON sync_list
    FOR EACH ROW WHEN (current_setting('row_security') = 'on' OR current_setting('check_function_bodies') = 'on')
    EXECUTE FUNCTION sync_list_check();
-- Only where an app changes what an item is, not where a run notes how it went.
CREATE TRIGGER sync_list_check_update
    BEFORE UPDATE OF org_id, item_type, source_platform, target_platform, source_id, fields, is_active, filter_config,
                     schedule_interval, business_hours_start, business_hours_end, business_days, time_zone ON sync_list
    FOR EACH ROW EXECUTE FUNCTION sync_list_check();
CREATE TRIGGER sync_list_touch BEFORE UPDATE ON sync_list
    FOR EACH ROW EXECUTE FUNCTION sync_list_touch();

CREATE FUNCTION sync_list_add_from_pattern(pattern_id uuid, sync_type text, entity_type text, target_platform text DEFAULT 'local',
                                           sync_mode text DEFAULT 'delta', priority int DEFAULT 0,
                                           schedule_interval interval DEFAULT '1 hour') RETURNS int
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    org uuid := sync_require('operate');
    pattern saved_search_patterns := sync_pattern_of(org, sync_list_add_from_pattern.pattern_id, 'operate');
    c integration_connector := sync_connector_of(org, sync_list_add_from_pattern.sync_type);
    e sync_entity := sync_entity_of(sync_list_add_from_pattern.entity_type);
    f sync_filter := sync_parse_filter(pattern.filter_config);
    added int;
BEGIN
    PERFORM sync_filter_fits(f, e);
    INSERT INTO sync_list (org_id, item_type, source_platform, target_platform, source_id, target_id, sync_mode, priority,
                           schedule_interval, metadata)
    SELECT org, e.name, c.name, sync_list_add_from_pattern.target_platform, r.external_id,
           CASE WHEN lower(sync_list_add_from_pattern.target_platform) = 'local' THEN r.local_id END,
           sync_list_add_from_pattern.sync_mode, sync_list_add_from_pattern.priority, sync_list_add_from_pattern.schedule_interval,
           jsonb_strip_nulls(jsonb_build_object(
               'patternId', pattern.id, 'patternName', pattern.name,
               'name', coalesce(r.remote ->> 'name', r.remote ->> 'number'), 'email', r.remote -> 'email', 'sku', r.remote -> 'sku',
               'price', coalesce(r.remote -> 'price', r.remote -> 'total'), 'currency', r.remote -> 'currency'))
           || jsonb_build_object('filter', pattern.filter_config)
    FROM sync_filter_rows(org, c.number, e, f) m
    CROSS JOIN LATERAL (SELECT * FROM sync_record x WHERE x.org_id = org AND x.id = m.id LIMIT 1) r
    -- what is gone can't be a source
    WHERE r.remote_fingerprint IS NOT NULL
    ORDER BY r.id
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS added = ROW_COUNT;
    RETURN added;
END
$$;
COMMENT ON FUNCTION sync_list_add_from_pattern(uuid, text, text, text, text, int, interval) IS
    'Puts what a saved search pattern finds into the sync list of the current user; returns how many items were added. '
    'Those that are there stay as they are.';
