// Fuzz test: reading damaged explanations and unembedding rows always finishes.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createDice, damagesWith, outcome } from './damages.example';
import { type ExpectedExplanation, parseExplainStream } from './explain-stream';
import { parseUnembedding } from './unembedding';

const fixture = (name: string) => new Uint8Array(readFileSync(join(import.meta.dirname, 'fixtures', name)));
const streams = { chefer: fixture('chefer.explanation'), 'dex-ar': fixture('dex-ar.explanation') } as const;
const rows = fixture('vocabulary.rows');
const model = { name: 'random-weights', revision: '94c0b4d387c2' };
const perDamage = 250;

async function endOfExplanation(bytes: Uint8Array, method: ExpectedExplanation['method']): Promise<string> {
  let last: string | undefined;
  for await (const event of parseExplainStream(bytes, { method, model, tokenIndices: [5, 1], patches: 16 })) {
    if (last === 'end') throw new Error('HANGS: an event after the end');
    last = event.type;
  }
  return last ?? 'nothing';
}

async function endOfRows(bytes: Uint8Array): Promise<string> {
  await parseUnembedding(bytes, { ids: [0, 1], hiddenSize: 32 });
  return 'end';
}

it.each(Object.entries(damagesWith(streams['dex-ar'])))(
  'reading finishes after damage: %s',
  async (name, damage) => {
    const dice = createDice(name.length * 104_729);
    const outcomes = new Map<string, number>();
    for (let i = 0; i < perDamage; i++) {
      const what = `${name} ${i}`;
      const method = i % 2 === 0 ? 'chefer' : 'dex-ar';
      const how =
        i % 3 === 0
          ? await outcome(endOfRows(damage(rows.slice(), dice)), what)
          : await outcome(endOfExplanation(damage(streams[method].slice(), dice), method), what);
      outcomes.set(how, (outcomes.get(how) ?? 0) + 1);
    }
    // Reading finishes with the end event or an error; an incomplete stream never passes as complete.
    expect([...outcomes.keys()].filter((how) => !['end', 'error'].includes(how))).toEqual([]);
    expect(outcomes.get('error') ?? 0, 'the damage rarely has an effect').toBeGreaterThan(perDamage / 10);
  },
  60_000,
);
