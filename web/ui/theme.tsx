import { useState } from 'preact/hooks';
import { readText, removeStored, writeText } from './browserStore.js';
import { text } from './texts.js';

type Theme = 'system' | 'light' | 'dark';

const KEY = 'parley.theme';
const themes: readonly Theme[] = ['system', 'light', 'dark'];

/** The theme stored in this browser; `system` follows the system's colour scheme. */
function loadTheme(): Theme {
  const stored = readText(KEY);
  return stored === 'light' || stored === 'dark' ? stored : 'system';
}

/** Applies the stored theme. Call it before the first render, so that the page does not flash. */
export function applyTheme(theme = loadTheme()): void {
  if (theme === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

function saveTheme(theme: Theme): void {
  if (theme === 'system') removeStored(KEY);
  else writeText(KEY, theme);
  applyTheme(theme);
}

/** Selects light, dark or the system's colour scheme. */
export function ThemeSelect() {
  const [theme, setTheme] = useState(loadTheme);
  return (
    <label class="field">
      {text('theme.label')}
      <select
        class="input"
        value={theme}
        onChange={(event) => {
          const next = themes.find((each) => each === event.currentTarget.value) ?? 'system';
          saveTheme(next);
          setTheme(next);
        }}
      >
        {themes.map((each) => (
          <option key={each} value={each}>
            {text(`theme.${each}`)}
          </option>
        ))}
      </select>
    </label>
  );
}

const isDark = (): boolean =>
  loadTheme() === 'dark' || (loadTheme() === 'system' && matchMedia('(prefers-color-scheme: dark)').matches);

/** Switches between light and dark. */
export function DarkThemeToggle() {
  const [isPressed, setPressed] = useState(isDark);
  const toggle = (): void => {
    saveTheme(isPressed ? 'light' : 'dark');
    setPressed(!isPressed);
  };
  return (
    <button class="button" type="button" onClick={toggle} aria-pressed={isPressed}>
      Dark
    </button>
  );
}
