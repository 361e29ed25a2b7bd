-- Categories as the tree that they are.

-- Siblings stand as the remote sorts them, else by name. Built in Rust: a recursive query would not end on parents in a
-- circle, and one that looks out for circles takes a quadratic time on a long one.
CREATE FUNCTION sync_category_tree(sync_type text) RETURNS TABLE (id text, parent_id text, name text, path text, depth int)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    org uuid := sync_require('read');
    c integration_connector := sync_connector_of(org, sync_category_tree.sync_type);
    ids text[];
    parents text[];
    names text[];
BEGIN
    SELECT array_agg(k.id ORDER BY k.place), array_agg(k.parent ORDER BY k.place), array_agg(k.name ORDER BY k.place)
    INTO ids, parents, names
    FROM (SELECT r.external_id AS id, r.remote ->> 'parent_external_id' AS parent, r.remote ->> 'name' AS name,
                 row_number() OVER (ORDER BY sync_number(r.remote ->> 'menu_order') NULLS LAST, sync_plain(r.remote ->> 'name'),
                                             r.external_id COLLATE "C") AS place
          FROM sync_record r JOIN sync_entity e ON e.number = r.entity AND e.name = 'categories'
          WHERE r.org_id = org AND r.connector = c.number AND r.remote_fingerprint IS NOT NULL) k;
    RETURN QUERY
        SELECT ids[t.number], parents[t.number], names[t.number], t.path, t.depth
        FROM sync_tree(ids, parents, names) t
        ORDER BY t.place;
END
$$;
COMMENT ON FUNCTION sync_category_tree(text) IS
    'The categories of a connector, as last pulled, as a tree: each behind the one above it, '
    'with the path of names ("Clothing / Shirts") and the depth, 0 at the top. '
    'A category whose parent is not there stands at the top; of categories that are each other''s parents, the first does.';
