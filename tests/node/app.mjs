// What every app here has: a pool whose sessions speak for one organisation and one user, as libpq's variables say where.
import assert from 'node:assert/strict';
import pg from 'pg';

export const org = process.env.SYNC_EXT_ORG;
export const user = 'ada';

export const pool = new pg.Pool({
  max: 4,
  options: `-c app.current_org_id=${org} -c app.current_user_id=${user}`,
});

export async function rows(text, values) {
  return (await pool.query(text, values)).rows;
}

export async function row(text, values) {
  const found = await rows(text, values);
  assert.equal(found.length, 1, text);
  return found[0];
}

// The error of a statement that has to fail, with what an app finds in it.
export async function refusal(text, values) {
  const error = await pool.query(text, values).then(
    () => assert.fail(`this should have been refused: ${text}`),
    (error) => error,
  );
  return error;
}

export function assertNumbers(record, names) {
  for (const name of names) {
    assert.equal(typeof record[name], 'number', `${name} is ${JSON.stringify(record[name])}`);
  }
}

export async function finish() {
  await pool.end();
  console.log('done');
}
