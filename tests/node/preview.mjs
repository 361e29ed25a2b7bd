// An app that shows what would change, lets its user choose, and applies that.
import assert from 'node:assert/strict';
import { assertNumbers, finish, org, pool, refusal, row, rows, user } from './app.mjs';

const shop = process.env.SYNC_EXT_SHOP;

async function preview(entityType, forceRefresh = false) {
  const { data } = await row('SELECT sync_preview($1, $2, $3) AS data', ['woocommerce', entityType, forceRefresh]);
  return data;
}

const { id } = await row('SELECT sync_connect($1, $2, $3, settings => $4) AS id', [
  'woocommerce',
  shop,
  { consumer_key: 'ck_rw', consumer_secret: 'cs_rw' },
  { requests_per_second: 1000 },
]);
assert.match(id, /^[0-9a-f-]{36}$/);

const first = await preview('customers');
assert.deepEqual([first.syncType, first.entityType, first.cacheHit], ['woocommerce', 'customers', false]);
for (const change of ['new', 'updated', 'deleted']) {
  assertNumbers(first.delta[change], ['count']);
  assert.ok(first.delta[change].records.length <= 20);
}
assert.ok(first.delta.new.count > 20);
assert.ok(Date.parse(first.expiresAt) > Date.parse(first.computedAt));
assertNumbers(first.meta, ['processingTime']);
assert.ok(Date.parse(first.meta.timestamp));
console.log(`new ${first.delta.new.count}, updated ${first.delta.updated.count}, deleted ${first.delta.deleted.count}`);

const second = await preview('customers');
assert.equal(second.cacheHit, true);
assert.deepEqual(second.delta, first.delta);
assert.deepEqual([second.meta.requestId, second.meta.timestamp], [first.meta.requestId, first.meta.timestamp]);
assert.equal((await preview('customers', true)).cacheHit, false);

const { chosen } = await row('SELECT sync_select($1, $2, $3, $4) AS chosen', ['customers', true, true, false]);
assert.deepEqual(Object.keys(chosen).sort(), ['appliedAt', 'entityType', 'selectiveSyncConfig']);
assert.deepEqual(chosen.selectiveSyncConfig, { includeNew: true, includeUpdated: true, includeDeleted: false });
assert.equal((await preview('customers')).cacheHit, false);

const { applied } = await row('SELECT sync_apply($1, $2) AS applied', ['woocommerce', 'customers']);
assert.equal(applied.status, 'completed');
assert.equal(applied.created, first.delta.new.count);
const links = await rows("SELECT * FROM sync_links WHERE sync_type = 'woocommerce' AND entity_type = 'customers'");
assert.equal(links.length, applied.created);
assert.ok(links[0].remote_modified_at instanceof Date);
const { deltas } = await row('SELECT detect_customer_delta($1) AS deltas', ['woocommerce']);
assert.equal(deltas.delta.new.count, 0);
assert.equal((await row('SELECT sync_invalidate_preview($1, $2) AS dropped', ['woocommerce', 'customers'])).dropped, 0);

const [history] = await rows('SELECT * FROM sync_history WHERE org_id = $1 AND user_id = $2', [org, user]);
assertNumbers(history, ['items_processed', 'items_created', 'items_updated', 'items_deleted', 'items_failed', 'duration_ms']);
const state = await row("SELECT * FROM sync_state WHERE entity_type = 'customers'");
assertNumbers(state, ['records', 'new', 'updated', 'deleted', 'ambiguous', 'hints', 'unreadable']);

// what a backend makes 400, 404, 401 and 500 of
assert.equal((await refusal('SELECT sync_preview($1, $2)', ['woocommerce', 'unicorns'])).code, '22023');
assert.equal((await refusal('SELECT sync_preview($1, $2)', ['nowhere', 'customers'])).code, '42704');
const stranger = await pool.connect();
await stranger.query("SET app.current_org_id = ''");
const nobody = await stranger.query("SELECT sync_preview('woocommerce', 'customers')").catch((error) => error);
assert.equal(nobody.code, '28000');
stranger.release(true);
await pool.query("SELECT sync_connect('woocommerce', 'http://127.0.0.1:9', $1, name => 'dead', settings => '{\"requests_per_second\": 1000}')", [
  { consumer_key: 'ck_rw', consumer_secret: 'cs_rw' },
]);
const dead = await refusal("SELECT sync_preview('dead', 'customers')");
assert.equal(dead.code, '08001');
const requestId = /requestId: ([0-9a-f-]{36})$/.exec(dead.detail)?.[1];
const entry = await row('SELECT * FROM sync_activity_log WHERE sync_id = $1', [requestId]);
assert.deepEqual([entry.activity_type, entry.status, entry.entity_type], ['preview', 'failed', 'customers']);
assert.equal(entry.error_message, dead.message);

await finish();
