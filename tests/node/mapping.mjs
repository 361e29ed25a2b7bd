// Walks through docs/from-rest.md as an app would: each row of its tables is tried, and answers as it says.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import pg from 'pg';
import { finish } from './app.mjs';
import { checks } from './mapping_checks.mjs';

const page = readFileSync(new URL('../../docs/from-rest.md', import.meta.url), 'utf8');

// [{section, cells}] of all tables, without their heads
function tableRows(text) {
  const found = [];
  let section;
  let inTable = false;
  for (const line of text.split('\n')) {
    if (line.startsWith('## ')) section = line.slice(3);
    const cells = line.startsWith('| ') ? line.slice(2, -2).split(' | ') : null;
    if (cells && inTable) found.push({ section, cells });
    inTable = line.startsWith('|--') || (inTable && cells !== null);
  }
  return found;
}

const codes = (cell) => [...cell.matchAll(/`([^`]*)`/g)].map((match) => match[1]);

// A shape as the page writes it, `{a, b: {c}, d: [{e}]}`, as {a: null, b: {c: null}, d: [{e: null}]}
function shape(text) {
  const tokens = text.match(/\w+|[{}[\]:,]/g);
  const value = () => {
    const token = tokens.shift();
    if (token === '[') {
      const item = value();
      assert.equal(tokens.shift(), ']', text);
      return [item];
    }
    assert.equal(token, '{', text);
    const keys = {};
    while (tokens[0] !== '}') {
      const key = tokens.shift();
      keys[key] = tokens[0] === ':' ? (tokens.shift(), value()) : null;
      if (tokens[0] === ',') tokens.shift();
    }
    tokens.shift();
    return keys;
  };
  return value();
}

function assertShape(reply, wanted, path) {
  if (wanted === null) return assert.notEqual(reply, undefined, `${path} is missing`);
  if (Array.isArray(wanted)) {
    assert.ok(Array.isArray(reply) && reply.length > 0, `${path} is ${JSON.stringify(reply)}`);
    return assertShape(reply[0], wanted[0], `${path}[0]`);
  }
  assert.ok(reply !== null && typeof reply === 'object', `${path} is ${JSON.stringify(reply)}`);
  for (const [key, inner] of Object.entries(wanted)) assertShape(reply[key], inner, `${path}.${key}`);
}

// what the checks send, whoever sends it
const sent = [];
const query = pg.Client.prototype.query;
pg.Client.prototype.query = function (text, ...rest) {
  sent.push(typeof text === 'string' ? text : text.text);
  return query.call(this, text, ...rest);
};

const walked = new Set();
for (const { section, cells } of tableRows(page)) {
  const [there, here, answers = ''] = cells;
  const key = `${section}: ${there}`;
  const check = checks[key];
  assert.ok(check, `nothing tries the row "${key}"`);
  walked.add(key);
  sent.length = 0;
  console.log(key);
  const reply = await check(here);
  const text = sent.join('\n');
  // functions, tables and settings, without the names of arguments
  const names = codes(here).flatMap((code) => code.replace(/\(.*\)/, '').match(/\b(?:sync|detect|compute|auto|app|pg)[_.]\w+/g) ?? []);
  for (const name of names) {
    assert.ok(text.includes(name), `${key}: ${name} was not used`);
  }
  for (const code of codes(answers).filter((code) => code.startsWith('{'))) assertShape(reply, shape(code), key);
  console.log(`    ${JSON.stringify(reply).slice(0, 200)}`);
}
assert.deepEqual(Object.keys(checks).filter((key) => !walked.has(key)), [], 'these rows are no longer on the page');

await finish();
