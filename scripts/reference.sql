-- One page from the catalog. Everything is sorted by name in collation C, so that the page is the same everywhere.
SELECT set_config('search_path', extnamespace::regnamespace::text, false) FROM pg_extension WHERE extname = 'sync_ext' \gset

CREATE TEMP TABLE member AS
SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension x ON x.oid = d.refobjid AND x.extname = 'sync_ext' WHERE d.deptype = 'e';
CREATE TEMP VIEW callable AS
SELECT p.oid, p.proname::text COLLATE "C" AS name, p.proname || '(' || pg_get_function_arguments(p.oid) || ')' AS call,
       pg_get_function_result(p.oid) AS result, obj_description(p.oid, 'pg_proc') AS about,
       (SELECT v.level FROM sync_privilege v WHERE v.object_kind = 'function' AND v.object_name = p.proname
        ORDER BY sync_level_rank(v.level) LIMIT 1) AS level
FROM pg_proc p JOIN member m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid;
CREATE TEMP VIEW relation AS
SELECT c.oid, c.relname::text COLLATE "C" AS name, c.relkind, obj_description(c.oid, 'pg_class') AS about,
       (SELECT string_agg(DISTINCT v.level || ': ' || p.list, '; ')
        FROM (SELECT DISTINCT level, object_name FROM sync_privilege WHERE object_kind = 'table') v,
             LATERAL (SELECT string_agg(q.privilege, ', ' ORDER BY array_position('{SELECT,INSERT,UPDATE,DELETE}', q.privilege)) AS list
                      FROM sync_privilege q WHERE q.object_kind = 'table' AND q.object_name = v.object_name AND q.level = v.level) p
        WHERE v.object_name = c.relname) AS privileges
FROM pg_class c JOIN member m ON m.classid = 'pg_class'::regclass AND m.objid = c.oid
WHERE c.relkind IN ('r', 'p', 'v');

\echo '# Reference'
\echo
\echo 'Written by `scripts/reference.sh` from the comments in the catalog: don''t edit it. The README has the settings and errors.'
\echo
\echo '## Functions'
\echo
\echo '"Level" is what `sync_grant` has to give for calling it.'
SELECT format(E'\n### %s\n\n    %s → %s\n\n%s\n\nLevel: %s.', name, call, result, about, level)
FROM callable WHERE level IS NOT NULL ORDER BY name, call COLLATE "C";
\echo
\echo '## Views'
SELECT format(E'\n### %s\n\n%s\n\nColumns: %s.', r.name, r.about,
    (SELECT string_agg(format('`%s` %s', attname, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum)
     FROM pg_attribute WHERE attrelid = r.oid AND attnum > 0))
FROM relation r WHERE relkind = 'v' ORDER BY r.name;
\echo
\echo '## Tables'
SELECT format(E'\n### %s\n\n%s\n%s\n| column | type | default | |\n|---|---|---|---|\n%s', r.name, r.about,
    coalesce(E'\nClients may, under row-level security: ' || r.privileges || E'.\n', E'\nNot for clients.\n'),
    (SELECT string_agg(format('| %s | %s%s | %s | %s |', a.attname, format_type(a.atttypid, a.atttypmod),
            CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END,
            CASE WHEN a.attidentity <> '' THEN 'identity' WHEN a.attgenerated <> '' THEN 'generated'
                 ELSE coalesce('`' || pg_get_expr(d.adbin, d.adrelid) || '`', '') END,
            coalesce(col_description(r.oid, a.attnum), '')), E'\n' ORDER BY a.attnum)
     FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
     WHERE a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped))
FROM relation r WHERE relkind <> 'v' ORDER BY r.name;
\echo
\echo '## Inside'
\echo
\echo 'Functions and types that the extension calls itself; no level may call them, and they may change.'
\echo
SELECT format('* `%s`: %s', call, about) FROM callable WHERE level IS NULL ORDER BY name, call COLLATE "C";
SELECT format('* type `%s`: %s', t.typname, obj_description(t.oid, 'pg_type'))
FROM pg_type t JOIN member m ON m.classid = 'pg_type'::regclass AND m.objid = t.oid
JOIN pg_class c ON c.oid = t.typrelid AND c.relkind = 'c' ORDER BY t.typname COLLATE "C";
