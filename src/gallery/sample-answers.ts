// Scored answers of fixed values: what the Trust view's charts draw, read as a CSV and computed as in its worker.
import { readCalibrationFile } from '../contract/calibration-file';
import { createRandom } from '../math/random';
import { type Calibration, createCalibration } from '../statistics/calibration';

const sets = ['vqa-like', 'gqa-like', 'pope-like'];
const kinds = ['attribute', 'count', 'existence', 'relation'];

/** 600 answers, about one in five wrong. */
export async function readSampleAnswers(): Promise<Calibration> {
  return createCalibration(await readCalibrationFile('answers.csv', csvOf(600)));
}

/** Too few wrong answers for a density. */
export async function readFewAnswers(): Promise<Calibration> {
  return createCalibration(await readCalibrationFile('few.csv', csvOf(24)));
}

function csvOf(answers: number): ArrayBuffer {
  const { unit, normal } = createRandom(answers);
  const rows = Array.from({ length: answers }, (_, i) => {
    const isRight = unit() > 0.2;
    const entropy = (isRight ? 5.05 : 5.45) + 0.32 * normal();
    const logProb = (isRight ? -0.2 : -0.7) * Math.exp(0.5 * normal());
    const length = Math.max(1, Math.round(4 + 2 * normal()));
    return [entropy, logProb, length, isRight ? 'right' : 'wrong', sets[i % 3], kinds[Math.floor(4 * unit())]].join();
  });
  const text = ['entropy,logProb,length,correct,set,kind', ...rows].join('\n');
  return new TextEncoder().encode(text).buffer;
}
