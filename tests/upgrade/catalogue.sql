-- Everything that makes an extension what it is, a line each. Columns stand by name: an upgrade adds them behind the others.
WITH member AS (
    SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension x ON x.oid = d.refobjid AND x.extname = 'sync_ext' WHERE d.deptype = 'e'),
relation AS (
    SELECT c.* FROM pg_class c JOIN member m ON m.classid = 'pg_class'::regclass AND m.objid = c.oid
    UNION
    SELECT c.* FROM pg_class c JOIN pg_inherits h ON h.inhrelid = c.oid AND h.inhparent = 'sync_activity_log'::regclass),
line AS (
    SELECT pg_describe_object(m.classid, m.objid, 0) || ' -- ' || coalesce(obj_description(m.objid, m.classid::regclass::name), '') AS text
    FROM member m
    UNION ALL
    SELECT format('%s %s rls %s options %s acl %s', r.relkind, r.oid::regclass, r.relrowsecurity, r.reloptions, r.relacl) FROM relation r
    UNION ALL
    SELECT format('%s.%s %s%s default %s identity %s generated %s collation %s statistics %s -- %s', r.oid::regclass, a.attname,
                  format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN ' not null' ELSE '' END, pg_get_expr(d.adbin, d.adrelid),
                  a.attidentity, a.attgenerated, a.attcollation::regcollation, a.attstattarget, col_description(r.oid, a.attnum))
    FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = r.oid AND d.adnum = a.attnum
    WHERE r.relkind IN ('r', 'p', 'v', 'c')
    UNION ALL
    -- in a view and in a type, the order counts
    SELECT format('%s columns %s', r.oid::regclass, array_agg(a.attname ORDER BY a.attnum))
    FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 WHERE r.relkind IN ('v', 'c') GROUP BY r.oid
    UNION ALL
    SELECT format('%s constraint %s %s', k.conrelid::regclass, k.conname, pg_get_constraintdef(k.oid)) FROM pg_constraint k JOIN relation r ON r.oid = k.conrelid
    UNION ALL
    SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN relation r ON r.oid = i.indrelid
    UNION ALL
    SELECT format('%s %s', pg_get_triggerdef(t.oid), t.tgenabled) FROM pg_trigger t JOIN relation r ON r.oid = t.tgrelid WHERE NOT t.tgisinternal
    UNION ALL
    SELECT format('%s policy %s %s %s using %s check %s', p.polrelid::regclass, p.polname, p.polcmd, p.polroles, pg_get_expr(p.polqual, p.polrelid),
                  pg_get_expr(p.polwithcheck, p.polrelid))
    FROM pg_policy p JOIN relation r ON r.oid = p.polrelid
    UNION ALL
    SELECT pg_get_viewdef(r.oid) FROM relation r WHERE r.relkind = 'v'
    UNION ALL
    SELECT format('%s acl %s', pg_get_functiondef(p.oid), p.proacl) FROM pg_proc p JOIN member m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
    UNION ALL
    SELECT format('event trigger %s on %s tags %s', t.evtname, t.evtevent, t.evttags) FROM pg_event_trigger t
    UNION ALL
    SELECT format('dumped %s %s', c.relation::regclass, c.condition) FROM pg_extension x, unnest(x.extconfig, x.extcondition) AS c (relation, condition)
    WHERE x.extname = 'sync_ext'
    UNION ALL
    SELECT 'privilege ' || p::text FROM sync_privilege p
    UNION ALL
    SELECT 'entity ' || e::text FROM sync_entity e
    UNION ALL
    SELECT format('layout %s %s %s', l.id, l.relation, l.tracking) FROM sync_layout l WHERE l.bound_by IS NULL
    UNION ALL
    SELECT format('layout %s %s %s %s %s', x.layout, x.purpose, x.field, x.kind, x.column_name)
    FROM sync_layout_column x JOIN sync_layout l ON l.id = x.layout AND l.bound_by IS NULL
    UNION ALL
    SELECT 'version ' || x.extversion FROM pg_extension x WHERE x.extname = 'sync_ext')
SELECT text FROM line ORDER BY text COLLATE "C"
