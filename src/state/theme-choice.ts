import { create } from 'zustand';

export type ThemeChoice = 'system' | 'light' | 'dark';

const storageKey = 'patchlight.theme';

/** If storage is blocked (private windows, embedded pages), the choice lasts only while the page is open. */
function storedTheme(): ThemeChoice {
  try {
    const stored = localStorage.getItem(storageKey);
    return stored === 'light' || stored === 'dark' ? stored : 'system';
  } catch {
    return 'system';
  }
}

export const useTheme = create<{ readonly theme: ThemeChoice }>(() => ({ theme: 'system' }));

export function chooseTheme(theme: ThemeChoice): void {
  document.documentElement.dataset.theme = theme;
  useTheme.setState({ theme });
  try {
    if (theme === 'system') localStorage.removeItem(storageKey);
    else localStorage.setItem(storageKey, theme);
  } catch {}
}

export function restoreTheme(): void {
  chooseTheme(storedTheme());
}
