// @ts-check
// The figures in docs/methods.md are rendered from the report of `python -m patchlight.measure.methods_report`.
//   node scripts/methods-doc.mjs           writes the section
//   node scripts/methods-doc.mjs --check   fails if the document differs from the report
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { replaceSection } from './figures.mjs';
import { root } from './shell.mjs';

const document = 'docs/methods.md';
const report = 'public/models/patchlight-scenes/report/methods.json';

/** The methods that the report measures, in the order of src/contract/methods.ts. */
const names = /** @type {const} */ ({
  fastrm: 'FastRM',
  chefer: 'Chefer, exact',
  'chefer-incremental': 'Chefer, incremental',
  gradcam: 'GradCAM, attention',
  'feature-gradcam': 'GradCAM, features',
  'dex-ar': 'DEX-AR',
  tam: 'TAM',
  rollout: 'Attention rollout',
  attention: 'Raw attention',
  random: 'Random',
});

/**
 * A figure with its 95 % interval: value, low, high; null if there are no tokens.
 * @typedef {readonly [number, number, number] | null} Estimate
 * The low and the high end of a 95 % interval. Reports of earlier versions lack some.
 * @typedef {readonly [number, number]} Interval
 * @typedef {keyof typeof names} Method
 * @typedef {Record<'pointing' | 'iou' | 'mass' | 'spearman' | 'top' | 'f1', Estimate>} Figures
 * @typedef {{ words: string, tokens: number, objectShare: number, objectShareInterval?: Interval, methods: Record<Method, Figures> }} Group
 * @typedef {{ msPerToken: number, peakMegabytes: number, forwardPerAnswer: number, backwardPerAnswer: number }} Cost
 * @typedef {{
 *   command: string, measuredOn: string, model: string, modelRevision: string,
 *   facts: Record<string, number>,
 *   groups: Record<'found' | 'repeated', Group>,
 *   costs: Record<Method, Cost>,
 *   emptyMaps: Record<Method, number>,
 *   emptyMapsIntervals?: Record<Method, Interval>,
 *   pointingBy: readonly { group: 'found' | 'repeated', label: string, tokens: number, methods: Record<Method, Estimate> }[],
 *   verdict: readonly string[],
 * }} MethodsReport
 */

const methods = /** @type {readonly Method[]} */ (Object.keys(names));

/** @param {Estimate} estimate */
const withInterval = (estimate) =>
  estimate === null ? '–' : `${estimate[0].toFixed(2)} (${estimate[1].toFixed(2)} to ${estimate[2].toFixed(2)})`;

/**
 * @param {number} share
 * @param {Interval | undefined} interval
 */
function percent(share, interval) {
  const ends = interval?.map((end) => (100 * end).toFixed(1)).join(' to ');
  return `${(100 * share).toFixed(1)} %${ends === undefined ? '' : ` (${ends} %)`}`;
}

/**
 * @param {readonly string[]} head
 * @param {readonly (readonly string[])[]} rows
 */
const table = (head, rows) =>
  [head, head.map((_, k) => (k === 0 ? '---' : '---:')), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

/** @param {MethodsReport} data */
export function renderMethods(data) {
  const { facts } = data;
  return [
    `\`${data.command}\` (${data.measuredOn}; model ${data.model}, revision ${data.modelRevision})`,
    `The model answered ${facts.questions} questions about ${facts.scenes} test scenes (from number ${facts.firstScene}); ` +
      `${facts.answeredInTheRightWords} answers have the same words as the reference. In ${facts.explainedAnswers} of them, ` +
      `tokens that name an object were explained, ${facts.tokensPerAnswer} per answer on average. Log-probabilities in the ` +
      `explained pass differ from the streamed ones by at most ${facts.largestDifference?.toExponential(1)}. Intervals are ` +
      `95 %, from ${facts.resamples} bootstrap resamples of scenes. Maps are binarised at ${facts.binarisedAt} of their ` +
      `maximum, FastRM's at its classification threshold, ${facts.classificationThreshold}.`,
    '### Verdict',
    data.verdict.map((sentence) => `- ${sentence}`).join('\n'),
    ...Object.values(data.groups).flatMap(renderGroup),
    '### Cost',
    'Processor time of one core, including the check, for all tokens of an answer that name an object in one call. FastRM ' +
      "uses the hidden states of the answer; the other methods start from the answer's tokens and encode the image again.",
    renderCosts(data),
    '### Where methods fail: the pointing game by kind of token',
    ...Object.entries(data.groups).flatMap(([group, { words }]) => [
      `For ${words}:`,
      table(
        ['', 'tokens', ...methods.map((name) => names[name])],
        data.pointingBy
          .filter((row) => row.group === group)
          .map(({ label, tokens, methods: of }) => [
            label,
            String(tokens),
            ...methods.map((name) => withInterval(of[name])),
          ]),
      ),
    ]),
  ].join('\n\n');
}

/** @param {Group} group */
function renderGroup({ words, tokens, objectShare, objectShareInterval, methods: of }) {
  return [
    `### ${words[0]?.toUpperCase()}${words.slice(1)}`,
    `${tokens} tokens; the object covers ${percent(objectShare, objectShareInterval)} of the patches.`,
    table(
      ['', 'pointing game', 'IoU', 'mass on the object', 'Spearman with Chefer, exact', 'IoU of the top 10 %', 'F1'],
      methods.map((name) => {
        const { pointing, iou, mass, spearman, top, f1 } = of[name];
        return [names[name], ...[pointing, iou, mass, spearman, top, f1].map(withInterval)];
      }),
    ),
  ];
}

/** @param {MethodsReport} data */
function renderCosts({ costs, emptyMaps, emptyMapsIntervals }) {
  const head = [
    '',
    'ms per token',
    'peak memory',
    'forward passes per answer',
    'backward passes per answer',
    'empty maps',
  ];
  const rows = methods.map((name) => {
    const { msPerToken, peakMegabytes, forwardPerAnswer, backwardPerAnswer } = costs[name];
    const ms = String(Number(msPerToken.toPrecision(3)));
    const passes = [forwardPerAnswer, backwardPerAnswer].map((count) => count.toFixed(1));
    return [
      names[name],
      ms,
      `${peakMegabytes.toFixed(1)} MB`,
      ...passes,
      percent(emptyMaps[name], emptyMapsIntervals?.[name]),
    ];
  });
  return table(head, rows);
}

function main() {
  const file = path.join(root, document);
  const before = readFileSync(file, 'utf8');
  const data = /** @type {MethodsReport} */ (JSON.parse(readFileSync(path.join(root, report), 'utf8')));
  const after = replaceSection(before, renderMethods(data), { file: document, name: 'measured' });
  if (!process.argv.includes('--check')) {
    writeFileSync(file, after);
  } else if (after !== before) {
    console.error(`${document} differs from ${report}: run node scripts/methods-doc.mjs`);
    process.exitCode = 1;
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) main();
