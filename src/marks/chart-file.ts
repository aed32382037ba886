/** The text in an exported chart: its title, and notes on how it was made, one per line. */
export interface ChartFile {
  readonly title: string;
  readonly notes: readonly string[];
}

/** The CSS properties that an SVG viewer needs to draw an element without the page's style sheet. */
const copiedProperties = [
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
 * Returns the chart as a self-contained SVG document with its on-screen colours. The notes appear as visible text and
 * in `desc`. Elements with `data-screen-only` are left out.
 */
export function chartAsSvg(document: Document, chart: SVGSVGElement, { title, notes }: ChartFile): string {
  const view = document.defaultView;
  if (view === null) throw new Error('the chart is not in a window');
  const widthPx = chart.clientWidth;
  const heightPx = chart.clientHeight;
  const pageStyle = view.getComputedStyle(document.documentElement);
  const copy = chart.cloneNode(true) as SVGSVGElement;
  copyStyles(view, chart, copy);
  for (const element of copy.querySelectorAll('[data-screen-only]')) element.remove();
  const make = (name: string, attributes: Record<string, string | number>, text?: string) => {
    const element = document.createElementNS(namespace, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const fullWidthPx = widthPx + 2 * padPx;
  const fullHeightPx = heightPx + titleHeightPx + noteHeightPx * notes.length + 3 * padPx;
  const root = make('svg', {
    xmlns: namespace,
    width: fullWidthPx,
    height: fullHeightPx,
    viewBox: `0 0 ${fullWidthPx} ${fullHeightPx}`,
    'font-family': pageStyle.fontFamily,
  });
  const plot = make('g', { transform: `translate(${padPx} ${padPx + titleHeightPx})` });
  plot.append(...copy.childNodes);
  root.append(
    make('title', {}, title),
    make('desc', {}, notes.join('\n')),
    make('rect', { width: '100%', height: '100%', fill: pageStyle.backgroundColor }),
    make('text', { x: padPx, y: padPx + 12, fill: pageStyle.color, 'font-size': 15, 'font-weight': 600 }, title),
    plot,
    ...notes.map((note, line) =>
      make(
        'text',
        {
          x: padPx,
          y: 2 * padPx + titleHeightPx + heightPx + noteHeightPx * (line + 0.6),
          fill: pageStyle.color,
          'fill-opacity': 0.75,
          'font-size': 10.5,
        },
        note,
      ),
    ),
  );
  return `<?xml version="1.0" encoding="UTF-8"?>\n${new view.XMLSerializer().serializeToString(root)}\n`;
}

/** Renders at twice the on-screen size, which is large enough for a slide. */
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
    if (context === null) throw new Error(`cannot create a canvas of ${canvas.width} x ${canvas.height} px`);
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    return await new Promise((resolve, reject) =>
      canvas.toBlob(
        (blob) => (blob ? resolve(blob) : reject(new Error('the image could not be encoded as PNG'))),
        'image/png',
      ),
    );
  } finally {
    URL.revokeObjectURL(url);
  }
}

function copyStyles(view: Window, from: Element, to: Element): void {
  const style = view.getComputedStyle(from);
  for (const name of copiedProperties) {
    const value = style.getPropertyValue(name);
    // Browsers resolve a pattern's url() against the page's URL; in the file, only the fragment is valid.
    if (value !== '') to.setAttribute(name, value.replace(/url\("[^"#]*(#[^"]+)"\)/, 'url($1)'));
  }
  for (const { name } of [...to.attributes]) {
    if (/^(class|style|role|tabindex|data-(?!screen-only).*|aria-.*)$/.test(name)) to.removeAttribute(name);
  }
  for (let i = 0; i < from.children.length; i++) copyStyles(view, from.children[i]!, to.children[i]!);
}
