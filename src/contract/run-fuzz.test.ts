// Fuzz test: reading damaged runs always finishes.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createDice, damagesWith, outcome } from './damages.example';
import { openRunRows, type RunRow } from './run-rows';
import { parseRunStream } from './run-stream';

const fixture = (name: string) => new Uint8Array(readFileSync(join(import.meta.dirname, 'fixtures', `${name}.run`)));
const recorded = fixture('random-weights');
const live = fixture('live-stream');
const perDamage = 250;

async function endOfRows(bytes: Uint8Array): Promise<string> {
  const { rows } = await openRunRows(bytes);
  let last: RunRow['kind'] | undefined;
  for await (const row of rows) {
    if (last === 'end' || last === 'broken') throw new Error(`HANGS: a row after ${last}`);
    last = row.kind;
  }
  return last ?? 'nothing';
}

async function endOfEvents(bytes: Uint8Array): Promise<string> {
  let last: string | undefined;
  for await (const event of parseRunStream(bytes)) last = event.type;
  return last ?? 'nothing';
}

it.each(Object.entries(damagesWith(live)))(
  'reading finishes after damage: %s',
  async (name, damage) => {
    const dice = createDice(name.length * 7919);
    const outcomes = new Map<string, number>();
    for (let i = 0; i < perDamage; i++) {
      const from = i % 2 === 0 ? recorded : live;
      const bytes = damage(from.slice(), dice);
      const how =
        i % 3 === 0
          ? await outcome(endOfEvents(bytes), `${name} ${i}`)
          : await outcome(endOfRows(bytes), `${name} ${i}`);
      outcomes.set(how, (outcomes.get(how) ?? 0) + 1);
    }
    expect([...outcomes.keys()].filter((how) => !['end', 'broken', 'error'].includes(how))).toEqual([]);
    const affected = perDamage - (outcomes.get('end') ?? 0);
    expect(affected, 'the damage rarely has an effect').toBeGreaterThan(perDamage / 10);
  },
  60_000,
);
