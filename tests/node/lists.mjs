// An app that saves search patterns, keeps single items in sync, and shows their history.
import assert from 'node:assert/strict';
import { assertNumbers, finish, org, pool, row, rows, user } from './app.mjs';

await pool.query('SELECT sync_pull($1, $2)', ['woocommerce', 'products']);

const pattern = await row(
  `INSERT INTO saved_search_patterns (user_id, name, description, direction, filter_config) VALUES ($1, $2, $3, $4, $5) RETURNING *`,
  [user, 'not free', 'what costs something', 'bidirectional', { priceMin: 1 }],
);
assert.deepEqual(pattern.filter_config, { priceMin: 1 });
const { found } = await row('SELECT sync_pattern_preview($1, $2, $3) AS found', [pattern.id, 'woocommerce', 'products']);
const { added } = await row('SELECT sync_list_add_from_pattern($1, $2, $3) AS added', [pattern.id, 'woocommerce', 'products']);
assert.equal(typeof added, 'number');
assert.ok(added > 0, JSON.stringify(found));

const missing = await row(
  `INSERT INTO sync_list (item_type, source_platform, target_platform, source_id, sync_mode, is_active, metadata)
   VALUES ('product', 'woocommerce', 'local', '999999', 'delta', true, $1) RETURNING *`,
  [{ name: 'Gone', sku: 'GONE' }],
);
assert.deepEqual(missing.metadata, { name: 'Gone', sku: 'GONE' });

// by hand
const { done } = await row('SELECT sync_delta(item_type => $1) AS done', ['product']);
assertNumbers(done, ['itemsProcessed', 'itemsCreated', 'itemsUpdated', 'itemsFailed', 'duration']);
assert.equal(done.status, 'partial_success');
assert.equal(done.itemsProcessed, added + 1);
assert.equal(done.errors.length, 1);
assert.equal(done.errors[0].itemId, missing.id);
console.log(`processed ${done.itemsProcessed}, failed ${done.itemsFailed} in ${done.duration.toFixed(0)} ms`);

const [history] = await rows('SELECT * FROM sync_history WHERE user_id = $1 ORDER BY created_at DESC', [user]);
assert.equal(history.id, done.syncHistoryId);
assert.deepEqual([history.sync_type, history.status], ['delta', 'partial_success']);
assertNumbers(history, ['items_processed', 'items_created', 'items_updated', 'items_failed', 'duration_ms']);
const failed = await row('SELECT * FROM sync_list WHERE id = $1', [missing.id]);
assert.equal(failed.last_sync_status, 'failed');
assert.ok(failed.error_message);
const entry = await row("SELECT * FROM sync_activity_log WHERE activity_type = 'delta'");
assert.equal(entry.status, 'completed_with_errors');

// by a scheduler
await pool.query("UPDATE sync_list SET next_due_at = now() - interval '1 second'");
const { reply } = await row('SELECT sync_scheduled() AS reply');
assertNumbers(reply, ['totalUsers', 'totalItems', 'itemsProcessed', 'itemsSucceeded', 'itemsFailed', 'duration']);
const [mine] = reply.userResults;
assert.equal(mine.userId, user);
assert.ok(mine.errors[0].startsWith(`${missing.id}: `), mine.errors[0]);
assert.equal(mine.errorDetails[0].itemId, missing.id);
const system = await row("SELECT * FROM sync_history WHERE org_id = $1 AND user_id IS NULL AND sync_type = 'scheduled'", [org]);
assert.equal(system.items_processed, reply.itemsProcessed);

await pool.query('UPDATE sync_list SET sync_mode = $1, is_active = false WHERE id = $2', ['full', missing.id]);
await pool.query('DELETE FROM saved_search_patterns WHERE id = $1', [pattern.id]);

await finish();
