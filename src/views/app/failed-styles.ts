// Vite adds a view's stylesheet to the page once. If its request fails, importing the view again does not repeat it.

const failed = new Set<HTMLLinkElement>();

/** Notes the stylesheets that fail from now on, and loads again those of the first paint that have failed. */
export function watchStyles(): void {
  const initial = document.querySelectorAll<HTMLLinkElement>('link[rel="stylesheet"]');
  const note = ({ target }: Event) => {
    if (target instanceof HTMLLinkElement && target.relList.contains('stylesheet')) failed.add(target);
  };
  window.addEventListener('error', note, { capture: true });
  const retryInitial = () => {
    for (const link of initial) if (!hasRules(link)) failed.add(link);
    reloadFailedStyles().catch(() => {}); // the page works without its style
  };
  if (document.readyState === 'complete') retryInitial();
  else window.addEventListener('load', retryInitial, { once: true });
}

/** A stylesheet that failed has no sheet in some browsers, and an unreadable one in others. */
function hasRules({ sheet }: HTMLLinkElement): boolean {
  try {
    return (sheet?.cssRules.length ?? 0) > 0;
  } catch {
    return false;
  }
}

/** Requests each failed stylesheet again. Rejects with the name of one that fails again. */
export async function reloadFailedStyles(): Promise<void> {
  await Promise.all(
    [...failed].map(
      (link) =>
        new Promise<void>((resolve, reject) => {
          const copy = link.cloneNode() as HTMLLinkElement;
          copy.addEventListener('load', () => resolve());
          copy.addEventListener('error', () => reject(new Error(`no answer for ${copy.href.split('/').at(-1)}`)));
          failed.delete(link);
          link.replaceWith(copy);
        }),
    ),
  );
}
