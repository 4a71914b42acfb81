export type Theme = 'system' | 'light' | 'dark';
const key = 'parley.theme';

/** The scheme chosen on this browser; `system` follows its settings. */
export function theme(): Theme {
  const kept = localStorage.getItem(key);
  return kept === 'light' || kept === 'dark' ? kept : 'system';
}

/** Shows the page in the scheme that was chosen, from its first paint on. */
export function applyTheme(chosen = theme()): void {
  if (chosen === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
}

/** Chooses a scheme, for both pages. */
export function chooseTheme(chosen: Theme): void {
  if (chosen === 'system') localStorage.removeItem(key);
  else localStorage.setItem(key, chosen);
  applyTheme(chosen);
}
