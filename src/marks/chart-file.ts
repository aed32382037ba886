/** A chart as a file of its own: what it shows, and a line each of how it came about. */
export interface ChartFile {
  readonly title: string;
  readonly notes: readonly string[];
}

/** What an SVG viewer needs to draw an element as the page does, where the page's style sheet is not. */
const drawnProperties = [
  'fill',
  'fill-opacity',
  'stroke',
  'stroke-width',
  'stroke-opacity',
  'stroke-dasharray',
  'stroke-linejoin',
  'opacity',
  'font-family',
  'font-size',
  'font-weight',
  'text-anchor',
  'dominant-baseline',
] as const;

const namespace = 'http://www.w3.org/2000/svg';
const padPx = 16;
const titleHeightPx = 30;
const noteHeightPx = 15;

/**
 * The drawn chart as a text that stands alone, in the colours on screen; its notes are in it twice, to be seen and as its
 * `desc`. Elements with `data-screen-only` stay out.
 */
export function chartAsSvg(document: Document, chart: SVGSVGElement, { title, notes }: ChartFile): string {
  const view = document.defaultView;
  if (view === null) throw new Error('the chart is in no window');
  const widthPx = chart.clientWidth;
  const heightPx = chart.clientHeight;
  const ground = view.getComputedStyle(document.documentElement);
  const copy = chart.cloneNode(true) as SVGSVGElement;
  copyStyles(view, chart, copy);
  for (const element of copy.querySelectorAll('[data-screen-only]')) element.remove();
  const make = (name: string, attributes: Record<string, string | number>, text?: string) => {
    const element = document.createElementNS(namespace, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const wholeWidthPx = widthPx + 2 * padPx;
  const wholeHeightPx = heightPx + titleHeightPx + noteHeightPx * notes.length + 3 * padPx;
  const root = make('svg', {
    xmlns: namespace,
    width: wholeWidthPx,
    height: wholeHeightPx,
    viewBox: `0 0 ${wholeWidthPx} ${wholeHeightPx}`,
    'font-family': ground.fontFamily,
  });
  const plot = make('g', { transform: `translate(${padPx} ${padPx + titleHeightPx})` });
  plot.append(...copy.childNodes);
  root.append(
    make('title', {}, title),
    make('desc', {}, notes.join('\n')),
    make('rect', { width: '100%', height: '100%', fill: ground.backgroundColor }),
    make('text', { x: padPx, y: padPx + 12, fill: ground.color, 'font-size': 15, 'font-weight': 600 }, title),
    plot,
    ...notes.map((note, line) =>
      make(
        'text',
        {
          x: padPx,
          y: 2 * padPx + titleHeightPx + heightPx + noteHeightPx * (line + 0.6),
          fill: ground.color,
          'fill-opacity': 0.75,
          'font-size': 10.5,
        },
        note,
      ),
    ),
  );
  return `<?xml version="1.0" encoding="UTF-8"?>\n${new view.XMLSerializer().serializeToString(root)}\n`;
}

/** At twice the size on screen, so that it can be put on a slide. */
export async function svgAsPng(document: Document, svg: string): Promise<Blob> {
  const image = document.createElement('img');
  const url = URL.createObjectURL(new Blob([svg], { type: 'image/svg+xml' }));
  try {
    image.src = url;
    await image.decode();
    const canvas = document.createElement('canvas');
    canvas.width = image.naturalWidth * 2;
    canvas.height = image.naturalHeight * 2;
    const context = canvas.getContext('2d');
    if (context === null) throw new Error(`no canvas of ${canvas.width} x ${canvas.height} px`);
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    return await new Promise((resolve, reject) =>
      canvas.toBlob(
        (blob) => (blob ? resolve(blob) : reject(new Error('the picture could not be written'))),
        'image/png',
      ),
    );
  } finally {
    URL.revokeObjectURL(url);
  }
}

function copyStyles(view: Window, from: Element, to: Element): void {
  const style = view.getComputedStyle(from);
  for (const name of drawnProperties) {
    const value = style.getPropertyValue(name);
    // A pattern is named by the page's address, which the file has not.
    if (value !== '') to.setAttribute(name, value.replace(/url\("[^"#]*(#[^"]+)"\)/, 'url($1)'));
  }
  for (const { name } of [...to.attributes]) {
    if (/^(class|style|role|tabindex|data-(?!screen-only).*|aria-.*)$/.test(name)) to.removeAttribute(name);
  }
  for (let i = 0; i < from.children.length; i++) copyStyles(view, from.children[i]!, to.children[i]!);
}
