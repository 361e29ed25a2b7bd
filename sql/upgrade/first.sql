-- What there is before: what is made from here on is new, and nobody has been given anything on it.
CREATE TEMP TABLE sync_ext_before AS
SELECT d.classid, d.objid, c.oid::regclass::text AS name, c.relowner AS owner, c.relacl AS acl
FROM pg_depend d
JOIN pg_extension x ON x.oid = d.refobjid AND x.extname = 'sync_ext'
JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
WHERE d.deptype = 'e'
UNION ALL
SELECT d.classid, d.objid, p.oid::regprocedure::text, p.proowner, p.proacl
FROM pg_depend d
JOIN pg_extension x ON x.oid = d.refobjid AND x.extname = 'sync_ext'
JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
WHERE d.deptype = 'e';
-- a member would stay
ALTER EXTENSION sync_ext DROP TABLE pg_temp.sync_ext_before;
