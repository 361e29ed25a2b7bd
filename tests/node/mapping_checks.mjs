// What an app does for each row of the tables of docs/from-rest.md, in their order: {"section: first cell": what answers}.
// A check of an error's row gets the row's second cell, and finds each code in it.
import assert from 'node:assert/strict';
import pg from 'pg';
import { assertNumbers, org, pool, refusal, row, rows, user } from './app.mjs';

const shop = process.env.SYNC_EXT_SHOP;
const [reader, own, service, stranger] = process.env.SYNC_EXT_ROLES.split(',');

async function control(call, body = {}) {
  const response = await fetch(`${shop}/_sandbox/${call}`, { method: 'POST', body: JSON.stringify(body) });
  assert.equal(response.status, 200, `${call}: ${await response.text()}`);
}

// Statements in one session of another role, or with other settings.
async function as(settings, ...statements) {
  const { role, ...options } = settings;
  const client = new pg.Client({
    ...(role && { user: role }),
    options: Object.entries({ 'app.current_org_id': org, 'app.current_user_id': user, ...options })
      .filter(([, value]) => value !== null)
      .map(([name, value]) => `-c ${name}=${value}`)
      .join(' '),
  });
  await client.connect();
  try {
    let last;
    for (const statement of statements) last = await client.query(statement);
    return last.rows;
  } finally {
    await client.end();
  }
}

const owner = (statement) => as({ role: process.env.SYNC_EXT_OWNER, 'app.current_org_id': null }, statement);
const code = (promise) => promise.then(() => assert.fail('this should have been refused'), (error) => error.code);
const of = async (sql, values) => Object.values(await row(sql, values))[0];
const connect = (name, url, keys = { consumer_key: 'ck_rw', consumer_secret: 'cs_rw' }) =>
  of('SELECT sync_connect($1, $2, $3, name => $4, settings => $5)', ['woocommerce', url, keys, name, { requests_per_second: 1000 }]);

// Each code of an error's row, found by what should raise it.
async function found(cell, attempts) {
  const told = {};
  for (const [what, attempt] of Object.entries(attempts)) told[what] = await attempt();
  const named = new Set(cell.match(/\b[0-9][0-9A-Z]{4}\b/g));
  assert.deepEqual(new Set(Object.values(told)), named, JSON.stringify(told));
  return told;
}

const refused = (sql, values) => async () => (await refusal(sql, values)).code;
const nowhere = '00000000-0000-0000-0000-00000000dead';

// A pull that waits for the shop, and what is done meanwhile.
async function duringPull(entityType, path, act) {
  await control('faults', { path, fault: { kind: 'hang' } });
  const client = await pool.connect();
  const { pid } = (await client.query('SELECT pg_backend_pid() AS pid')).rows[0];
  const pull = client.query('SELECT sync_pull($1, $2)', ['woocommerce', entityType]).then(() => 'completed', (error) => error.code);
  try {
    let busy = [];
    while (busy.length === 0) {
      busy = await rows('SELECT sync_id FROM sync_workers WHERE entity_type = $1 AND alive', [entityType]);
    }
    return await act(busy[0].sync_id, pid, pull);
  } finally {
    await control('faults/clear');
    await control('release');
    await pull;
    client.release();
  }
}

const who = {
  'header `x-org-id`, or `org_id` of a token': async () => {
    const mine = 'SELECT count(*) AS n FROM sync_connectors';
    const [inPool] = await as({ 'app.current_org_id': null }, 'BEGIN', `SET LOCAL app.current_org_id = '${org}'`, mine);
    const [set] = await as({ 'app.current_org_id': null }, `SET app.current_org_id = '${org}'`, mine);
    const [others] = await as({ 'app.current_org_id': nowhere }, mine);
    assert.deepEqual([inPool.n, set.n, others.n], ['1', '1', '0']);
    return { inPool, others };
  },
  'header `x-user-id`': async () => {
    const [saved] = await as(
      { 'app.current_user_id': null },
      "SET app.current_user_id = 'grace'",
      "INSERT INTO saved_search_patterns (name, direction, filter_config) VALUES ('hers', 'bidirectional', '{}') RETURNING user_id",
    );
    assert.equal(saved.user_id, 'grace');
    return saved;
  },
  'an authenticated user': async () => {
    await pool.query(`SELECT sync_grant('${reader}', '${org}', 'read')`);
    const [seen] = await as({ role: reader }, 'SELECT count(*)::int AS n FROM saved_search_patterns');
    assert.equal(seen.n, 1);
    assert.equal(await code(as({ role: reader }, "SELECT sync_pull('woocommerce', 'products')")), '42501');
    await pool.query(`SELECT sync_grant('${reader}', '${org}', 'operate')`);
    const [operated] = await as({ role: reader }, "SELECT sync_invalidate_preview('woocommerce', 'products') AS dropped");
    return { ...seen, ...operated };
  },
  'a user who sees their own patterns, lists and history': async () => {
    await pool.query(`SELECT sync_grant('${own}', '${org}', 'operate', own_rows => true)`);
    const count = 'SELECT count(*)::int AS n FROM saved_search_patterns';
    const [[hers], [his]] = [await as({ role: own, 'app.current_user_id': 'grace' }, count), await as({ role: own }, count)];
    assert.deepEqual([hers.n, his.n], [1, 0]);
    return { hers, his };
  },
  'the service role, a service key': async () => {
    assert.equal(await code(pool.query(`SELECT sync_grant('${service}', NULL, 'operate')`)), '42501', 'an admin of one organisation');
    await owner(`SELECT sync_grant('${service}', NULL, 'operate')`);
    const scheduled = await as({ role: service, 'app.current_org_id': null }, 'SELECT sync_scheduled() AS reply');
    return scheduled[0].reply;
  },
  'an administrator, who keeps the keys': async () => {
    assert.equal(
      await code(as({ role: reader }, `SELECT sync_connect('woocommerce', '${shop}', '{"consumer_key": "a", "consumer_secret": "b"}')`)),
      '42501',
    );
    return { id: await connect('woocommerce', shop) };
  },
};

const preview = (force) => of('SELECT sync_preview($1, $2, force_refresh => $3)', ['woocommerce', 'customers', force]);

const previews = {
  '`GET …/sync/preview?sync_type=…&entity_type=…`, `getPreviewSnapshot`': async () => {
    const reply = await preview(false);
    assert.equal(reply.delta.new.records.length, 20);
    assert.ok(reply.delta.new.count > 20);
    assert.equal((await preview(false)).cacheHit, true);
    return reply;
  },
  '`POST …/preview?action=fetch`, `forceRefresh`': async () => {
    await control('mutate', { op: 'create', entity: 'customers', count: 3 });
    const [before, after] = [await preview(false), await preview(true)];
    assert.deepEqual([after.cacheHit, after.delta.new.count], [false, before.delta.new.count + 3]);
    return { cacheHit: after.cacheHit };
  },
  '`POST …/preview?action=select`': () => of('SELECT sync_select($1, $2, $3, $4)', ['customers', true, true, false]),
  '`detectCustomerDelta`, `…Product…`, `…Order…`': async () => {
    await pool.query("SELECT sync_all('woocommerce')");
    for (const entityType of ['product', 'order']) {
      const other = await of(`SELECT detect_${entityType}_delta($1)`, ['woocommerce']);
      assert.equal(other.new.length, 20, entityType);
    }
    const reply = await of('SELECT detect_customer_delta($1)', ['woocommerce']);
    assert.deepEqual(reply.new, reply.delta.new.records);
    return reply;
  },
  '`invalidatePreviewCache`': async () => {
    await preview(false);
    const dropped = await of('SELECT sync_invalidate_preview($1, $2)', ['woocommerce', 'customers']);
    assert.equal(dropped, 1);
    return { dropped };
  },
  'every record, not the first 20': async () => {
    const all = await rows('SELECT change FROM compute_delta($1, $2)', ['woocommerce', 'customers']);
    assert.equal(all.length, (await preview(false)).delta.new.count);
    return { rows: all.length };
  },
};

const pulling = {
  '`POST /api/sync/products`': async () => {
    const pulled = await of('SELECT sync_pull($1, $2)', ['woocommerce', 'products']);
    const applied = await of('SELECT sync_apply($1, $2)', ['woocommerce', 'products']);
    assert.ok(applied.created >= 20);
    assert.equal(await of('SELECT count(*)::int FROM sync_products'), applied.created);
    return { read: pulled.records, created: applied.created };
  },
  '`POST /api/sync/all`': async () => {
    const reply = await of('SELECT sync_all($1, apply => true)', ['woocommerce']);
    assert.equal(reply.status, 'completed');
    assert.ok((await of('SELECT count(*)::int FROM sync_orders')) >= 20);
    return reply;
  },
  '`GET /api/sync/status`': async () => {
    const [state] = await rows("SELECT * FROM sync_state WHERE entity_type = 'products'");
    assertNumbers(state, ['new', 'updated', 'deleted']);
    const [metadata] = await rows("SELECT * FROM sync_metadata WHERE data_type = 'products'");
    assert.equal(metadata.sync_status, 'success');
    return { status: metadata.sync_status, count: metadata.last_sync_count };
  },
  '`POST /api/sync/reset/:dataType`': async () => {
    const reply = await of('SELECT sync_reset($1, $2)', ['woocommerce', 'products']);
    assert.equal((await row("SELECT sync_status FROM sync_metadata WHERE data_type = 'products'")).sync_status, 'pending');
    return reply;
  },
  '`GET /api/sync/health`': async () => {
    const reply = await of('SELECT sync_health()');
    assert.ok(['ok', 'degraded'].includes(reply.status));
    return reply;
  },
  '`createOrUpdateCustomer` for each record': async () => {
    await control('mutate', { op: 'create', entity: 'customers', count: 2 });
    await pool.query("SELECT sync_pull('woocommerce', 'customers')");
    const applied = await of('SELECT sync_apply($1, $2)', ['woocommerce', 'customers']);
    const undone = await of('SELECT sync_undo($1)', [applied.historyId]);
    assert.deepEqual([applied.created, undone.removed], [2, 2]);
    return undone;
  },
  '`odoo_id` of a row, a table of ids': async () => {
    const [link] = await rows("SELECT * FROM sync_links WHERE entity_type = 'customers'");
    assert.match(link.external_id, /^\d+$/);
    assert.equal(await of('SELECT count(*)::int FROM sync_customers WHERE id::text = $1', [link.local_id]), 1);
    return link;
  },
};

let pattern;
let items;
const lists = {
  '`POST /functions/v1/delta-sync` `{syncListIds, itemType}`': async () => {
    items = await rows(
      `INSERT INTO sync_list (item_type, source_platform, target_platform, source_id, sync_mode, is_active, metadata)
       SELECT 'product', 'woocommerce', 'local', id, 'delta', true, '{"name": "Mug"}'
       FROM unnest(ARRAY(SELECT external_id FROM sync_links WHERE entity_type = 'products' LIMIT 2) || '999999'::text) id
       RETURNING id, source_id`,
    );
    const reply = await of('SELECT sync_delta($1, $2)', [items.map((item) => item.id), 'product']);
    assert.deepEqual([reply.itemsProcessed, reply.itemsFailed], [3, 1]);
    assert.equal(reply.errors[0].itemId, items.find((item) => item.source_id === '999999').id);
    return reply;
  },
  'the same, whatever has changed': async () => {
    const reply = await of('SELECT sync_full($1)', [items.map((item) => item.id)]);
    assert.equal((await row('SELECT sync_type FROM sync_history WHERE id = $1', [reply.syncHistoryId])).sync_type, 'full');
    return reply;
  },
  '`POST /functions/v1/scheduled-sync`, and `net.http_post` in a cron job': async () => {
    await pool.query('UPDATE sync_list SET next_due_at = now()');
    const [{ reply }] = await as({ role: service, 'app.current_org_id': null }, 'SELECT sync_scheduled() AS reply');
    assert.equal(reply.itemsProcessed, 3);
    assert.match(reply.userResults[0].errors[0], /^[0-9a-f-]{36}: /);
    return reply;
  },
  '"Add to Sync List" for what a search found': async () => {
    pattern = await row(
      `INSERT INTO saved_search_patterns (name, description, direction, filter_config) VALUES ($1, $2, $3, $4) RETURNING *`,
      ['Active ones', 'All active products', 'woocommerce-to-local', { status: ['active'], priceMin: 1 }],
    );
    const added = await of('SELECT sync_list_add_from_pattern($1, $2, $3)', [pattern.id, 'woocommerce', 'products']);
    assert.ok(added > 0);
    const [item] = await rows("SELECT metadata FROM sync_list WHERE metadata ? 'sku' LIMIT 1");
    assert.ok(item.metadata.name && item.metadata.price && item.metadata.filter, JSON.stringify(item));
    return { added, ...item };
  },
  'what a pattern finds': async () => {
    const reply = await of('SELECT sync_pattern_preview($1, $2, $3)', [pattern.id, 'woocommerce', 'products']);
    assert.ok(reply.count > 0);
    return reply;
  },
};

const progress = {
  '`GET /api/sync/progress`': () =>
    duringPull('orders', '/wp-json/wc/v3/orders', async (syncId) => {
      const shown = await rows('SELECT * FROM sync_progress WHERE completed_at IS NULL');
      assert.deepEqual(shown.map((sync) => sync.sync_id), [syncId]);
      assertNumbers(shown[0], ['total_items', 'processed_count', 'failed_count', 'percent_complete']);
      return shown[0];
    }),
  '`POST …/orchestrate` `{"action": "status", "syncId": …}`': async () => {
    const { syncId } = await of('SELECT sync_pull($1, $2)', ['woocommerce', 'orders']);
    const sync = await row('SELECT percent_complete, eta_seconds, status FROM sync_progress WHERE sync_id = $1', [syncId]);
    assert.deepEqual(sync, { percent_complete: 100, eta_seconds: 0, status: 'completed' });
    return sync;
  },
  '`{"action": "cancel"}`': () =>
    duringPull('orders', '/wp-json/wc/v3/orders', async (syncId, pid, pull) => {
      await pool.query('SELECT pg_cancel_backend($1)', [pid]);
      assert.equal(await pull, '57014');
      assert.equal(await code(as({ statement_timeout: 300 }, "SELECT sync_pull('woocommerce', 'orders')")), '57014');
      const ended = await row('SELECT status FROM sync_activity_log WHERE sync_id = $1', [syncId]);
      assert.equal(ended.status, 'cancelled');
      return ended;
    }),
  'failed syncs': async () => {
    const failed = await rows(
      "SELECT * FROM sync_activity_log WHERE status IN ('failed', 'completed_with_errors', 'timeout') ORDER BY created_at DESC",
    );
    assert.deepEqual([...new Set(failed.map((entry) => entry.status))].sort(), ['completed_with_errors', 'timeout']);
    return failed[0];
  },
  'a partition for each month, made by hand': async () => {
    const next = await row(
      `INSERT INTO sync_activity_log (entity_type, activity_type, status, created_at)
       VALUES ('orders', 'mine', 'completed', now() + interval '1 month') RETURNING tableoid::regclass::text AS partition`,
    );
    assert.match(next.partition, /sync_activity_log_\d{4}_\d{2}$/);
    return next;
  },
  '`auto_cleanup_preview_cache()`': async () => {
    await preview(false);
    await pool.query("UPDATE sync_preview_cache SET expires_at = now() - interval '1 second'");
    const deleted = await of('SELECT auto_cleanup_preview_cache()');
    assert.ok(deleted > 0);
    return { deleted };
  },
};

const pull = (name) => refused('SELECT sync_pull($1, $2)', [name, 'customers']);

async function faulty(fault, attempt) {
  await control('faults', { path: '/wp-json/', fault });
  const got = await attempt();
  await control('faults/clear');
  return got;
}

const errors = {
  400: (cell) =>
    found(cell, {
      type: refused('SELECT sync_preview($1, $2)', ['woocommerce', 'unicorns']),
      filter: () => refused('UPDATE saved_search_patterns SET filter_config = $1 WHERE id = $2', [{ colour: 'red' }, pattern.id])(),
      option: refused('SELECT sync_connect($1, $2, $3, name => $4, settings => $5)', ['woocommerce', shop, {}, 'odd', { colour: 'red' }]),
      bounds: refused('SELECT sync_connect($1, $2, $3, name => $4, settings => $5)', ['woocommerce', shop, {}, 'odd', { requests_per_second: -1 }]),
      count: refused("INSERT INTO sync_progress (sync_id, entity_type, total_items, processed_count) VALUES ('many', 'customer', 1, 2)"),
      column: refused("INSERT INTO sync_list (item_type, source_platform, source_id, sync_mode) VALUES ('product', 'woocommerce', '1', 'often')"),
    }),
  401: (cell) => found(cell, { nobody: () => code(as({ 'app.current_org_id': null }, "SELECT sync_preview('woocommerce', 'customers')")) }),
  403: (cell) =>
    found(cell, {
      stranger: () => code(as({ role: stranger }, "SELECT sync_preview('woocommerce', 'customers')")),
      other: () => code(as({ 'app.current_org_id': nowhere }, "SELECT sync_preview('woocommerce', 'customers')")),
    }),
  404: (cell) =>
    found(cell, {
      connector: refused('SELECT sync_preview($1, $2)', ['nowhere', 'customers']),
      pattern: refused('SELECT sync_pattern_preview($1, $2, $3)', [nowhere, 'woocommerce', 'products']),
      history: refused('SELECT sync_undo($1)', [nowhere]),
    }),
  409: (cell) =>
    found(cell, {
      moved: async () => {
        const { previewId, delta } = await preview(true);
        assert.ok(delta.new.count > 0);
        await control('mutate', { op: 'delete', entity: 'customers', ids: [Number(delta.new.records[0].externalId)] });
        await pool.query("SELECT sync_pull('woocommerce', 'customers')");
        return refused('SELECT sync_apply($1, $2, preview_id => $3)', ['woocommerce', 'customers', previewId])();
      },
      busy: () => duringPull('orders', '/wp-json/wc/v3/orders', refused('SELECT sync_reset($1, $2)', ['woocommerce', 'orders'])),
    }),
  422: (cell) =>
    found(cell, {
      mass: async () => {
        const linked = await rows("SELECT external_id FROM sync_links WHERE entity_type = 'customers'");
        await control('mutate', { op: 'delete', entity: 'customers', ids: linked.slice(0, -1).map((link) => Number(link.external_id)) });
        await pool.query("SELECT sync_pull('woocommerce', 'customers')");
        return refused('SELECT sync_apply($1, $2, include_deleted => true)', ['woocommerce', 'customers'])();
      },
    }),
  429: (cell) =>
    found(cell, {
      rate: async () => {
        for (let n = 0; n < 20; n++) {
          const limited = await preview(true).then(() => null, (error) => error);
          if (limited) return limited.code;
        }
        return null;
      },
      remote: () => faulty({ kind: 'too_many_requests', retry_after: null }, pull('woocommerce')),
    }),
  '499, and a timeout of the app\'s': async (cell) => {
    const cancel = (_, pid, waiting) => pool.query('SELECT pg_cancel_backend($1)', [pid]).then(() => waiting);
    const told = await found(cell, { timeout: () => duringPull('orders', '/wp-json/wc/v3/orders', cancel) });
    const next = await of('SELECT sync_pull($1, $2)', ['woocommerce', 'orders']);
    assert.equal((await row("SELECT status FROM sync_state WHERE entity_type = 'orders'")).status, 'success', JSON.stringify(next));
    return told;
  },
  '500, 502, 504': (cell) =>
    found(cell, {
      dead: async () => (await connect('dead', 'http://127.0.0.1:9'), pull('dead')()),
      broken: () => faulty({ kind: 'reset' }, pull('woocommerce')),
      nonsense: () => faulty({ kind: 'html_page' }, pull('woocommerce')),
      key: async () => (await connect('barred', shop, { consumer_key: 'ck_rw', consumer_secret: 'wrong' }), pull('barred')()),
    }),
};

const sections = {
  'Who is asking': who,
  Previews: previews,
  'Pulling and applying': pulling,
  'Patterns, lists, history': lists,
  'Progress and activity': progress,
  Errors: errors,
};

export const checks = Object.fromEntries(
  Object.entries(sections).flatMap(([section, rows]) => Object.entries(rows).map(([there, check]) => [`${section}: ${there}`, check])),
);
