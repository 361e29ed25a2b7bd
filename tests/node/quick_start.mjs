// An app that keeps progress, log and cache itself, by plain SQL.
import assert from 'node:assert/strict';
import { assertNumbers, finish, org, pool, row, rows, user } from './app.mjs';

const COUNTS = ['total_items', 'processed_count', 'failed_count', 'skipped_count', 'percent_complete', 'elapsed_seconds'];

async function start(syncId, total) {
  await pool.query(
    `INSERT INTO sync_progress (id, org_id, sync_id, entity_type, total_items, initiated_by, source_system)
     VALUES (gen_random_uuid(), $1, $2, 'customer', $3, $4, 'woocommerce')`,
    [org, syncId, total, user],
  );
}

function update(syncId, processed, failed) {
  return row(
    `UPDATE sync_progress SET processed_count = $1, failed_count = $2, current_item = $3, updated_at = NOW()
     WHERE org_id = $4 AND sync_id = $5 RETURNING *`,
    [processed, failed, processed + failed, org, syncId],
  );
}

function note(syncId, customer, error) {
  return pool.query(
    `INSERT INTO sync_activity_log (org_id, sync_id, entity_type, activity_type, status, details, user_id)
     VALUES ($1, $2, 'customer', 'batch_process', 'completed_with_errors', $3::jsonb, $4)`,
    [org, syncId, JSON.stringify({ customerId: customer.id, error: error.message }), user],
  );
}

function live() {
  return rows('SELECT * FROM sync_progress WHERE org_id = $1 AND completed_at IS NULL ORDER BY updated_at DESC', [org]);
}

// What a dashboard shows of a sync under way; formatting a text as a number throws.
function card(sync) {
  const share = (sync.processed_count / sync.total_items) * 100;
  const eta = sync.eta_seconds ? (sync.eta_seconds / 60).toFixed(1) : '-';
  return `${sync.entity_type.toUpperCase()} ${share.toFixed(0)}% ${sync.speed_items_per_min?.toFixed(1) ?? '-'} items/min, ETA ${eta} min`;
}

// In batches: single customers fail, and a batch as a whole may.
async function syncCustomers(syncId, customers, write) {
  await start(syncId, customers.length);
  let processed = 0;
  let failed = 0;
  for (let at = 0; at < customers.length; at += 100) {
    const batch = customers.slice(at, at + 100);
    try {
      for (const customer of batch) {
        try {
          await write(customer);
          processed++;
        } catch (error) {
          failed++;
          await note(syncId, customer, error);
        }
      }
      console.log(card(await update(syncId, processed, failed)));
    } catch (error) {
      console.log(`a batch failed: ${error.message}`);
      failed += batch.length;
      await update(syncId, processed, failed);
    }
  }
  return { processed, failed };
}

await start('under way', 5000);
assertNumbers(await update('under way', 2500, 10), [...COUNTS, 'speed_items_per_min', 'eta_seconds']);
const [shown] = await live();
assert.equal(shown.sync_id, 'under way');
assert.match(card(shown), /^CUSTOMERS 50% [\d.]+ items\/min, ETA ([\d.]+|-) min$/);

const customers = Array.from({ length: 250 }, (_, id) => ({ id, email: `c${id}@example.com` }));
const result = await syncCustomers('in batches', customers, async (customer) => {
  if (customer.id % 50 === 7) throw new Error('no such street');
  await pool.query('INSERT INTO sync_customers (email) VALUES ($1)', [customer.email]);
});
assert.deepEqual(result, { processed: 245, failed: 5 }, 'no good batch counts as a failed one');
const ended = await row('SELECT * FROM sync_progress WHERE sync_id = $1', ['in batches']);
assertNumbers(ended, COUNTS);
assert.equal(ended.status, 'completed_with_errors');
assert.equal(ended.percent_complete, 100);
assert.equal(ended.eta_seconds, 0);
assert.equal((await live()).length, 1);

assert.deepEqual(await syncCustomers('of nothing', [], async () => {}), { processed: 0, failed: 0 });
assert.equal((await row("SELECT status FROM sync_progress WHERE sync_id = 'of nothing'")).status, 'completed');

// counts are checked by the app, and by the table
const { processed_count } = await row(
  `UPDATE sync_progress SET processed_count = $1, failed_count = $2, current_item = ($1::int + $2::int)::text, updated_at = NOW()
   WHERE org_id = $3 AND sync_id = $4 RETURNING *`,
  [3000, 20, org, 'under way'],
);
assert.equal(processed_count, 3000);
const beyond = await update('under way', 5001, 0).catch((error) => error);
assert.match(beyond.message, /check constraint/);

// what happened
const week = await rows(
  `SELECT * FROM sync_activity_log WHERE org_id = $1 AND created_at > NOW() - ($2 || ' days')::interval ORDER BY created_at DESC LIMIT 1000`,
  [org, 7],
);
const completions = week.filter((entry) => entry.activity_type === 'sync_completed');
assert.deepEqual(
  completions.map((entry) => [entry.sync_id, entry.status, entry.record_count]),
  [
    ['of nothing', 'completed', 0],
    ['in batches', 'completed_with_errors', 245],
  ],
);
assertNumbers(completions[1], ['record_count', 'duration_seconds']);
const failures = await rows(
  `SELECT * FROM sync_activity_log WHERE org_id = $1 AND status IN ('failed', 'completed_with_errors', 'timeout')
   AND created_at > NOW() - ($2 || ' days')::interval ORDER BY created_at DESC`,
  [org, 30],
);
assert.equal(failures.length, 6);
assert.equal(failures[0].error_message, '5 of 250 items failed');
const mine = await rows('SELECT * FROM sync_activity_log WHERE org_id = $1 AND user_id = $2 ORDER BY created_at DESC LIMIT 100', [org, user]);
assert.equal(mine.length, week.length);

const [grouped] = await rows(
  `SELECT sal.sync_id, sal.entity_type, sal.status, COUNT(*) AS error_count, sal.error_message FROM sync_activity_log sal
   WHERE sal.org_id = $1 AND sal.status IN ('failed', 'completed_with_errors') AND sal.created_at > NOW() - INTERVAL '30 days'
   GROUP BY sal.sync_id, sal.entity_type, sal.status, sal.error_message ORDER BY max(sal.created_at) DESC`,
  [org],
);
assert.equal(grouped.error_message, '5 of 250 items failed');
const trends = await rows(
  `SELECT entity_type, COUNT(*) AS sync_count, AVG(duration_seconds) AS avg_duration_sec, MAX(duration_seconds) AS max_duration_sec,
          SUM(record_count) AS total_records
   FROM sync_activity_log WHERE org_id = $1 AND created_at > NOW() - INTERVAL '30 days' AND status IN ('completed', 'completed_with_errors')
   GROUP BY entity_type ORDER BY entity_type`,
  [org],
);
assert.equal(trends.length, 1, 'one spelling, whoever wrote it');
assertNumbers(trends[0], ['avg_duration_sec', 'max_duration_sec']);
const slow = await rows(
  `SELECT sync_id, speed_items_per_min, elapsed_seconds, (elapsed_seconds::numeric / nullif(processed_count, 0)) AS seconds_per_item
   FROM sync_progress WHERE org_id = $1 AND speed_items_per_min > 0 AND speed_items_per_min < 1e9 ORDER BY speed_items_per_min ASC`,
  [org],
);
assert.ok(slow.length > 0);

// a cache of the app's own
async function cache(delta) {
  await pool.query(
    `INSERT INTO sync_preview_cache (org_id, sync_type, delta_data, computed_by, cache_key, expires_at)
     VALUES ($1, $2, $3::jsonb, $4, $5, NOW() + INTERVAL '1 hour')
     ON CONFLICT (org_id, sync_type, entity_type)
     DO UPDATE SET delta_data = EXCLUDED.delta_data, computed_at = NOW(), expires_at = EXCLUDED.expires_at`,
    [org, 'woocommerce', JSON.stringify(delta), user, 'inputs'],
  );
}
async function cached() {
  const found = await rows('SELECT delta_data FROM sync_preview_cache WHERE cache_key = $1 AND expires_at > NOW() LIMIT 1', ['inputs']);
  return found.at(0)?.delta_data ?? null;
}
assert.equal(await cached(), null);
for (const delta of [{ new: 1 }, { new: 2 }]) {
  await cache(delta);
  assert.deepEqual(await cached(), delta);
}
assert.equal((await row('SELECT auto_cleanup_preview_cache() AS deleted_count')).deleted_count, 0);

// who speaks for nobody sees nothing
const stranger = await pool.connect();
try {
  await stranger.query("SET app.current_org_id = ''");
  assert.deepEqual((await stranger.query('SELECT * FROM sync_progress')).rows, []);
  const policy = await stranger
    .query("INSERT INTO sync_activity_log (org_id, activity_type) VALUES ($1, 'note')", [org])
    .catch((error) => error);
  assert.match(policy.message, /policy/);
} finally {
  stranger.release(true);
}

await finish();
