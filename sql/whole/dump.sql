-- What pg_dump carries. It takes nothing of an extension's tables unless told to; sync_entity and sync_privilege are
-- filled by CREATE EXTENSION and stay out. Monthly partitions of the activity log are no members of the extension and
-- are dumped as any table.
--
-- A parallel restore loads tables in any order: none of these may have a foreign key to another one.
--
-- The conditions are read by pg_dump with an empty search_path, hence the qualified names.

SELECT pg_extension_config_dump('integration_connector', '');
SELECT pg_extension_config_dump('integration_connector_number_seq', '');
SELECT pg_extension_config_dump('sync_record', '');
SELECT pg_extension_config_dump('sync_record_id_seq', '');
SELECT pg_extension_config_dump('sync_metadata', '');
SELECT pg_extension_config_dump('sync_sweep', '');
SELECT pg_extension_config_dump('sync_webhook_delivery', '');
SELECT pg_extension_config_dump('sync_customers', '');
SELECT pg_extension_config_dump('sync_products', '');
SELECT pg_extension_config_dump('sync_orders', '');
SELECT pg_extension_config_dump('sync_categories', '');
SELECT pg_extension_config_dump('sync_warehouses', '');
SELECT pg_extension_config_dump('sync_purchases', '');
SELECT pg_extension_config_dump('sync_sales', '');
SELECT pg_extension_config_dump('sync_transfers', '');
SELECT pg_extension_config_dump('sync_apply_image', '');
SELECT pg_extension_config_dump('sync_apply_image_part_seq', '');
SELECT pg_extension_config_dump('sync_apply_failure', '');
SELECT pg_extension_config_dump('sync_apply_failure_id_seq', '');
SELECT pg_extension_config_dump('sync_layout', 'WHERE bound_by IS NOT NULL');
SELECT pg_extension_config_dump('sync_layout_id_seq', '');
SELECT pg_extension_config_dump('sync_layout_column', 'WHERE layout > 100');
SELECT pg_extension_config_dump('sync_layout_loss', '');
SELECT pg_extension_config_dump('sync_binding', '');
SELECT pg_extension_config_dump('sync_comparison', '');
SELECT pg_extension_config_dump('sync_field_map', '');
SELECT pg_extension_config_dump('sync_preview_cache', '');
SELECT pg_extension_config_dump('sync_selective_config', '');
SELECT pg_extension_config_dump('sync_activity_log_default', '');
SELECT pg_extension_config_dump('sync_history', '');
SELECT pg_extension_config_dump('saved_search_patterns', '');
SELECT pg_extension_config_dump('sync_list', '');
SELECT pg_extension_config_dump('sync_idempotency_log', '');

-- A run that is under way runs here, not where the dump is restored: there, its checkpoint makes the next one go on.
SELECT pg_extension_config_dump('sync_run', $$WHERE status <> 'running'$$);
SELECT pg_extension_config_dump('sync_progress',
    $$WHERE NOT EXISTS (SELECT FROM @extschema@.sync_run r WHERE r.org_id = sync_progress.org_id
                        AND r.sync_id = sync_progress.sync_id AND r.status = 'running')$$);

-- The grant of a role that was dropped is a bare number, which another role may have where the dump is restored.
SELECT pg_extension_config_dump('sync_access',
    'WHERE EXISTS (SELECT FROM pg_catalog.pg_roles g WHERE g.oid = grantee)');
SELECT pg_extension_config_dump('sync_given',
    'WHERE EXISTS (SELECT FROM pg_catalog.pg_roles g WHERE g.oid = grantee)');
