-- Saved search patterns: filters over the ledger, validated when they are written and evaluated with parameters only.

CREATE TABLE saved_search_patterns (
    org_id uuid NOT NULL DEFAULT sync_current_org(),
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    user_id text DEFAULT nullif(current_setting('app.current_user_id', true), ''),
    name text NOT NULL CHECK (btrim(name) <> ''),
    description text,
    direction text,
    filter_config jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id)
);
COMMENT ON TABLE saved_search_patterns IS
    'Filters that users keep. sync_pattern_preview shows what one finds, sync_list_add_from_pattern puts that into a sync '
    'list.';
COMMENT ON COLUMN saved_search_patterns.direction IS 'Which way the app means it, for instance woocommerce_to_local; kept for the app.';
COMMENT ON COLUMN saved_search_patterns.filter_config IS
    'The filters, all of which have to hold: status, type, change, price, priceMin, priceMax, stock, stockMin, stockMax, '
    'category, updatedAfter, updatedBefore, ids, sku, email, text.';

CREATE TYPE sync_filter AS (
    statuses text[],
    types text[],
    changes text[],
    price_min numeric,
    price_max numeric,
    stock_min numeric,
    stock_max numeric,
    stock_statuses text[],
    categories text[],
    updated_after timestamptz,
    updated_before timestamptz,
    ids text[],
    skus text[],
    emails text[],
    words text[]
);
COMMENT ON TYPE sync_filter IS 'A filter_config, checked and with types. NULL: no such filter.';

CREATE FUNCTION sync_bad_filter(key text, expected text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'filter "%" must be %', key, expected USING ERRCODE = '22023';
END
$$;
COMMENT ON FUNCTION sync_bad_filter(text, text) IS 'Raises 22023 for a value that a filter can''t have.';

-- "" and [] are a form's way to say that nothing was chosen. An empty list of ids is a list all the same.
CREATE FUNCTION sync_filter_texts(key text, value jsonb) RETURNS text[]
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    most CONSTANT int := CASE key WHEN 'ids' THEN 10000 ELSE 100 END;
    items jsonb := CASE jsonb_typeof(value) WHEN 'array' THEN value ELSE jsonb_build_array(value) END;
    texts text[];
BEGIN
    IF EXISTS (SELECT FROM jsonb_array_elements(items) i WHERE jsonb_typeof(i) NOT IN ('string', 'number')) THEN
        PERFORM sync_bad_filter(key, 'a text or a list of texts');
    END IF;
    -- every record is compared with each of them, but for ids, which are looked up
    IF jsonb_array_length(items) > most THEN
        PERFORM sync_bad_filter(key, format('at most %s texts', most));
    END IF;
    IF EXISTS (SELECT FROM jsonb_array_elements_text(items) t WHERE length(t) > 255) THEN
        PERFORM sync_bad_filter(key, 'of texts of at most 255 characters');
    END IF;
    SELECT array_agg(btrim(t)) FILTER (WHERE btrim(t) <> '') INTO texts FROM jsonb_array_elements_text(items) t;
    RETURN CASE key WHEN 'ids' THEN coalesce(texts, '{}') ELSE texts END;
END
$$;
COMMENT ON FUNCTION sync_filter_texts(text, jsonb) IS 'The texts of a filter: one, or a list of them.';

-- A remote's price may be "", "on request" or "12,50": no number, and no error either.
CREATE FUNCTION sync_number(value text) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN length(value) <= 100 AND value ~ E'^\\s*[+-]?(\\d+\\.?\\d*|\\.\\d+)([eE][+-]?\\d{1,2})?\\s*$' THEN value::numeric END;
COMMENT ON FUNCTION sync_number(text) IS 'A text as a number; NULL where it is none.';

CREATE FUNCTION sync_filter_number(key text, value jsonb) RETURNS numeric
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    number numeric := CASE WHEN jsonb_typeof(value) IN ('string', 'number') THEN sync_number(value #>> '{}') END;
BEGIN
    IF number IS NULL AND value NOT IN ('null', '""') THEN
        PERFORM sync_bad_filter(key, 'a number');
    END IF;
    RETURN number;
END
$$;
COMMENT ON FUNCTION sync_filter_number(text, jsonb) IS 'The number of a filter.';

CREATE FUNCTION sync_filter_range(key text, value jsonb, OUT low numeric, OUT high numeric)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    IF jsonb_typeof(value) <> 'object' OR value - 'min' - 'max' <> '{}' THEN
        PERFORM sync_bad_filter(key, 'an object with "min", "max" or both');
    END IF;
    low := sync_filter_number(key || '.min', coalesce(value -> 'min', 'null'));
    high := sync_filter_number(key || '.max', coalesce(value -> 'max', 'null'));
END
$$;
COMMENT ON FUNCTION sync_filter_range(text, jsonb) IS 'The bounds of a filter {"min", "max"}.';

-- "30 days" reaches back from the moment the pattern is used, so that a saved one doesn't grow old.
CREATE FUNCTION sync_filter_moment(key text, value jsonb) RETURNS timestamptz
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO, YMD'
AS $$
DECLARE
    given text := nullif(btrim(value #>> '{}'), '');
BEGIN
    IF jsonb_typeof(value) <> 'string' THEN
        PERFORM sync_bad_filter(key, 'a time, or how far back ("30 days")');
    END IF;
    BEGIN
        RETURN given::timestamptz;
    EXCEPTION WHEN data_exception THEN
        -- a bare number would be taken for seconds
        IF given !~ '[[:alpha:]]' THEN
            PERFORM sync_bad_filter(key, 'a time, or how far back ("30 days")');
        END IF;
        RETURN now() - given::interval;
    END;
EXCEPTION WHEN invalid_datetime_format OR datetime_field_overflow OR interval_field_overflow THEN
    PERFORM sync_bad_filter(key, 'a time, or how far back ("30 days")');
END
$$;
COMMENT ON FUNCTION sync_filter_moment(text, jsonb) IS
    'The time of a filter: one in ISO 8601 (UTC where it names no zone), or an interval back from now.';

-- What users write for LIKE: only * is special, and case means nothing.
CREATE FUNCTION sync_filter_like(texts text[]) RETURNS text[]
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT array_agg(replace(regexp_replace(lower(t), E'([\\\\%_])', E'\\\\\\1', 'g'), '*', '%')) FROM unnest(texts) t
$$;
COMMENT ON FUNCTION sync_filter_like(text[]) IS 'Patterns for LIKE from texts in which * stands for anything.';

CREATE FUNCTION sync_parse_filter(filter jsonb) RETURNS sync_filter
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    known CONSTANT text[] := '{category,change,email,ids,price,priceMax,priceMin,sku,status,'
        'stock,stockMax,stockMin,text,type,updatedAfter,updatedBefore}';
    f sync_filter;
    key text;
    value jsonb;
BEGIN
    IF jsonb_typeof(filter) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'filter_config must be a JSON object' USING ERRCODE = '22023';
    END IF;
    -- the objects first, so that priceMin beside price refines it
    FOR key, value IN SELECT x.key, x.value FROM jsonb_each(filter) x ORDER BY length(x.key), x.key LOOP
        IF key <> ALL (known) THEN
            RAISE EXCEPTION 'unknown filter "%"', key USING ERRCODE = '22023',
                HINT = 'Known are: ' || array_to_string(known, ', ') || '.';
        END IF;
        CONTINUE WHEN value = 'null';
        CASE key
            WHEN 'status' THEN f.statuses := (SELECT array_agg(lower(t)) FROM unnest(sync_filter_texts(key, value)) t);
            WHEN 'type' THEN f.types := (SELECT array_agg(lower(t)) FROM unnest(sync_filter_texts(key, value)) t);
            WHEN 'change' THEN f.changes := sync_filter_texts(key, value);
            WHEN 'price' THEN SELECT low, high INTO f.price_min, f.price_max FROM sync_filter_range(key, value);
            WHEN 'priceMin' THEN f.price_min := sync_filter_number(key, value);
            WHEN 'priceMax' THEN f.price_max := sync_filter_number(key, value);
            WHEN 'stock' THEN
                IF jsonb_typeof(value) = 'object' THEN
                    SELECT low, high INTO f.stock_min, f.stock_max FROM sync_filter_range(key, value);
                ELSE
                    f.stock_statuses := (SELECT array_agg(lower(t)) FROM unnest(sync_filter_texts(key, value)) t);
                END IF;
            WHEN 'stockMin' THEN f.stock_min := sync_filter_number(key, value);
            WHEN 'stockMax' THEN f.stock_max := sync_filter_number(key, value);
            WHEN 'category' THEN f.categories := sync_filter_texts(key, value);
            WHEN 'updatedAfter' THEN f.updated_after := sync_filter_moment(key, value);
            WHEN 'updatedBefore' THEN f.updated_before := sync_filter_moment(key, value);
            WHEN 'ids' THEN f.ids := sync_filter_texts(key, value);
            WHEN 'sku' THEN f.skus := sync_filter_like(sync_filter_texts(key, value));
            WHEN 'email' THEN f.emails := sync_filter_like(sync_filter_texts(key, value));
            WHEN 'text' THEN
                IF jsonb_typeof(value) <> 'string' THEN
                    PERFORM sync_bad_filter(key, 'a text');
                END IF;
                IF length(value #>> '{}') > 1000 THEN
                    PERFORM sync_bad_filter(key, 'a text of at most 1,000 characters');
                END IF;
                f.words := nullif(string_to_array(regexp_replace(sync_plain(value #>> '{}'), E'\\s+', ' ', 'g'), ' '), '{""}');
        END CASE;
    END LOOP;
    IF cardinality(f.words) > 50 THEN
        PERFORM sync_bad_filter('text', 'of at most 50 words');
    END IF;
    IF EXISTS (SELECT FROM unnest(f.changes) c WHERE c <> ALL ('{new,updated,deleted,ambiguous,unchanged}')) THEN
        PERFORM sync_bad_filter('change', 'of new, updated, deleted, ambiguous, unchanged');
    END IF;
    IF f.price_min > f.price_max OR f.stock_min > f.stock_max OR f.updated_after > f.updated_before THEN
        PERFORM sync_bad_filter(
            CASE WHEN f.price_min > f.price_max THEN 'price' WHEN f.stock_min > f.stock_max THEN 'stock' ELSE 'updatedAfter' END,
            'a range whose beginning is not after its end');
    END IF;
    RETURN f;
END
$$;
COMMENT ON FUNCTION sync_parse_filter(jsonb) IS 'Checks a filter_config: 22023 names what is wrong with it, and the filters there are.';

-- A filter on a field that an entity type doesn't have would find nothing, and look like an answer.
CREATE FUNCTION sync_filter_fits(f sync_filter, e sync_entity) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    is_document boolean := e.name IN ('orders', 'purchases', 'sales', 'transfers');
    misfit text := CASE
        WHEN f.statuses IS NOT NULL AND e.name = 'categories' THEN 'status'
        WHEN f.types IS NOT NULL AND e.name <> 'products' THEN 'type'
        WHEN coalesce(f.price_min, f.price_max) IS NOT NULL AND e.name NOT IN ('products', 'orders', 'purchases', 'sales') THEN 'price'
        WHEN (f.stock_statuses IS NOT NULL OR coalesce(f.stock_min, f.stock_max) IS NOT NULL) AND e.name <> 'products' THEN 'stock'
        WHEN f.categories IS NOT NULL AND e.name NOT IN ('products', 'categories') THEN 'category'
        WHEN f.skus IS NOT NULL AND e.name <> 'products' AND NOT is_document THEN 'sku'
        WHEN f.emails IS NOT NULL AND e.name NOT IN ('customers', 'orders', 'sales') THEN 'email' END;
BEGIN
    IF misfit IS NOT NULL THEN
        RAISE EXCEPTION 'filter "%" does not apply to %', misfit, e.name USING ERRCODE = '22023',
            HINT = 'Use another entity type, or a pattern without that filter.';
    END IF;
END
$$;
COMMENT ON FUNCTION sync_filter_fits(sync_filter, sync_entity) IS
    'Raises 22023 where a filter asks for what records of this type don''t have.';

-- By id, by name or by slug, and what is below them. Ids count even where no category was pulled.
CREATE FUNCTION sync_filter_categories(org uuid, connector_no int, wanted text[]) RETURNS text[]
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    WITH RECURSIVE known AS (
        SELECT r.external_id AS id, r.remote ->> 'parent_external_id' AS parent,
               sync_plain(r.remote ->> 'name') AS name, lower(r.remote ->> 'slug') AS slug
        FROM sync_record r JOIN sync_entity e ON e.number = r.entity AND e.name = 'categories'
        WHERE r.org_id = org AND r.connector = connector_no AND r.remote_fingerprint IS NOT NULL),
    tree AS (
        SELECT k.id FROM known k
        WHERE k.id = ANY (wanted) OR EXISTS (SELECT FROM unnest(wanted) w WHERE sync_plain(w) = k.name OR lower(w) = k.slug)
        UNION
        SELECT k.id FROM known k JOIN tree t ON k.parent = t.id)
    SELECT array_agg(DISTINCT c.id) FROM (SELECT id FROM tree UNION ALL SELECT unnest(wanted)) c (id)
$$;
COMMENT ON FUNCTION sync_filter_categories(uuid, int, text[]) IS
    'Ids of these categories, given by id, name or slug, and of all below them.';

CREATE FUNCTION sync_text_matches(record jsonb, words text[]) RETURNS boolean
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT coalesce(bool_and(strpos(t.hay, w) > 0), true)
    FROM (SELECT sync_plain(concat_ws(' ', record ->> 'name', record ->> 'email', record ->> 'sku', record ->> 'number',
                                      record ->> 'first_name', record ->> 'last_name', record ->> 'company',
                                      record ->> 'customer_email', record ->> 'partner_name', record ->> 'slug',
                                      record ->> 'code', record ->> 'barcode',
                                      record ->> 'description', record ->> 'short_description')) AS hay) t,
         unnest(words) w
$$;
COMMENT ON FUNCTION sync_text_matches(jsonb, text[]) IS
    'Whether each of the words occurs somewhere in name, e-mail, SKU, number or description.';

-- Custom plans: with the filters as constants, those that are not set vanish, and "change" is read by its index.
CREATE FUNCTION sync_filter_rows(org uuid, connector_no int, e sync_entity, f sync_filter)
    RETURNS TABLE (id bigint, change text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    categories text[] := CASE WHEN f.categories IS NOT NULL THEN sync_filter_categories(org, connector_no, f.categories) END;
    priced text := CASE e.name WHEN 'products' THEN 'price' ELSE 'total' END;
    addressed text := CASE e.name WHEN 'customers' THEN 'email' WHEN 'orders' THEN 'customer_email' ELSE 'partner_email' END;
BEGIN
    RETURN QUERY
    SELECT r.id, r.change::text
    FROM sync_record r
    WHERE r.org_id = org AND r.connector = connector_no AND r.entity = e.number AND r.external_id IS NOT NULL
      AND (f.changes IS NOT NULL OR r.remote_fingerprint IS NOT NULL)
      AND (f.changes IS NULL OR r.change = ANY (f.changes)
           OR ('unchanged' = ANY (f.changes) AND r.change IS NULL AND r.remote_fingerprint IS NOT NULL))
      AND (f.ids IS NULL OR r.external_id = ANY (f.ids))
      AND (f.updated_after IS NULL OR r.remote_modified_at > f.updated_after)
      AND (f.updated_before IS NULL OR r.remote_modified_at < f.updated_before)
      -- "active" is what each kind calls so, beside the words that it has of its own
      AND (f.statuses IS NULL OR lower(r.remote ->> 'status') = ANY (f.statuses)
           OR CASE r.remote ->> 'is_active' WHEN 'true' THEN 'active' WHEN 'false' THEN 'inactive' END = ANY (f.statuses))
      AND (f.types IS NULL OR lower(r.remote ->> 'type') = ANY (f.types))
      AND (f.price_min IS NULL OR sync_number(r.remote ->> priced) >= f.price_min)
      AND (f.price_max IS NULL OR sync_number(r.remote ->> priced) <= f.price_max)
      AND (f.stock_min IS NULL OR sync_number(r.remote ->> 'stock_quantity') >= f.stock_min)
      AND (f.stock_max IS NULL OR sync_number(r.remote ->> 'stock_quantity') <= f.stock_max)
      AND (f.stock_statuses IS NULL OR lower(r.remote ->> 'stock_status') = ANY (f.stock_statuses))
      AND (f.emails IS NULL OR lower(r.remote ->> addressed) LIKE ANY (f.emails))
      AND (f.skus IS NULL OR lower(r.remote ->> 'sku') LIKE ANY (f.skus)
           OR EXISTS (
               SELECT FROM jsonb_array_elements(
                   CASE jsonb_typeof(r.remote -> 'lines') WHEN 'array' THEN r.remote -> 'lines' ELSE '[]' END) l
               WHERE lower(l ->> 'sku') LIKE ANY (f.skus)))
      AND (categories IS NULL
           OR CASE WHEN e.name = 'categories' THEN r.external_id = ANY (categories)
                   -- a variation is in its product's categories
                   WHEN r.parent_id IS NOT NULL THEN EXISTS (
                       SELECT FROM sync_record p
                       WHERE p.org_id = org AND p.connector = connector_no AND p.entity = e.number
                         AND p.external_id = r.parent_id AND p.remote -> 'category_ids' ?| categories)
                   ELSE r.remote -> 'category_ids' ?| categories END)
      AND (f.words IS NULL OR sync_text_matches(r.remote, f.words));
END
$$;
COMMENT ON FUNCTION sync_filter_rows(uuid, int, sync_entity, sync_filter) IS
    'Records of the ledger that a filter finds. Those that are gone remotely only where it asks for deleted ones.';

CREATE FUNCTION sync_pattern_of(org uuid, pattern_id uuid, needed text) RETURNS saved_search_patterns
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    found_row saved_search_patterns;
BEGIN
    SELECT * INTO found_row FROM saved_search_patterns p
    WHERE p.org_id = org AND p.id = pattern_id AND sync_is_mine(p.user_id, needed);
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no saved search pattern "%"', pattern_id USING ERRCODE = '42704',
            HINT = 'SELECT id, name FROM saved_search_patterns lists them.';
    END IF;
    RETURN found_row;
END
$$;
COMMENT ON FUNCTION sync_pattern_of(uuid, uuid, text) IS
    'The saved search pattern of that id; 42704 when there is none that the calling role may use so.';

CREATE FUNCTION sync_pattern_sample(org uuid, ids bigint[]) RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
    SELECT coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
               'externalId', r.external_id, 'localId', r.local_id, 'matchKey', coalesce(r.match_key, r.local_match_key),
               'change', coalesce(r.change, 'unchanged'), 'modifiedAt', r.remote_modified_at,
               'name', r.remote -> 'name',
               'email', coalesce(r.remote -> 'email', r.remote -> 'customer_email', r.remote -> 'partner_email'),
               'sku', r.remote -> 'sku', 'number', r.remote -> 'number', 'status', r.remote -> 'status', 'type', r.remote -> 'type',
               'price', r.remote -> 'price', 'total', r.remote -> 'total', 'currency', r.remote -> 'currency',
               'stockQuantity', r.remote -> 'stock_quantity')) ORDER BY r.id), '[]')
    FROM unnest(ids) t (id)
    CROSS JOIN LATERAL (SELECT * FROM sync_record x WHERE x.org_id = org AND x.id = t.id LIMIT 1) r
$$;
COMMENT ON FUNCTION sync_pattern_sample(uuid, bigint[]) IS 'The main fields of these records of the ledger.';

CREATE FUNCTION sync_pattern_preview(pattern_id uuid, sync_type text, entity_type text) RETURNS jsonb
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    org uuid := sync_require('read');
    pattern saved_search_patterns := sync_pattern_of(org, sync_pattern_preview.pattern_id, 'read');
    c integration_connector := sync_connector_of(org, sync_pattern_preview.sync_type);
    e sync_entity := sync_entity_of(sync_pattern_preview.entity_type);
    f sync_filter := sync_parse_filter(pattern.filter_config);
    by_change jsonb;
    found_rows bigint;
    sample bigint[];
BEGIN
    PERFORM sync_filter_fits(f, e);
    WITH found AS MATERIALIZED (SELECT m.id, coalesce(m.change, 'unchanged') AS change FROM sync_filter_rows(org, c.number, e, f) m)
    SELECT (SELECT coalesce(jsonb_object_agg(k.change, k.n), '{}') FROM (SELECT x.change, count(*) AS n FROM found x GROUP BY 1) k),
           (SELECT count(*) FROM found),
           (SELECT array_agg(s.id) FROM (SELECT x.id FROM found x ORDER BY x.id LIMIT 20) s)
    INTO by_change, found_rows, sample;
    RETURN jsonb_build_object(
        'patternId', pattern.id, 'syncType', c.name, 'entityType', e.name, 'count', found_rows,
        'byChange', '{"new": 0, "updated": 0, "deleted": 0, "ambiguous": 0, "unchanged": 0}' || by_change,
        'records', sync_pattern_sample(org, sample),
        -- what the answer is as good as
        'lastPull', (SELECT m.last_sync_timestamp FROM sync_metadata m
                     WHERE m.org_id = org AND m.sync_type = c.name AND m.data_type = e.name));
END
$$;
COMMENT ON FUNCTION sync_pattern_preview(uuid, text, text) IS
    'What a saved search pattern finds in the ledger: {patternId, syncType, entityType, count, byChange, '
    'records (the first 20), lastPull}. Asks nobody.';

-- SECURITY DEFINER: who may write a pattern need not be able to call what checks it.
CREATE FUNCTION sync_pattern_check() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
BEGIN
    PERFORM sync_parse_filter(NEW.filter_config);
    IF TG_OP = 'UPDATE' AND NEW.updated_at IS NOT DISTINCT FROM OLD.updated_at THEN
        NEW.updated_at := now();
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION sync_pattern_check() IS 'Refuses a pattern with filters that can''t be evaluated.';

CREATE TRIGGER sync_pattern_check BEFORE INSERT OR UPDATE ON saved_search_patterns
    FOR EACH ROW EXECUTE FUNCTION sync_pattern_check();
