import { useState } from 'preact/hooks';
import { chooseTheme, theme } from '../ui/theme.js';

const isDarkNow = (): boolean =>
  theme() === 'dark' || (theme() === 'system' && matchMedia('(prefers-color-scheme: dark)').matches);

/** From light to dark and back. */
export function SchemeButton() {
  const [isDark, setIsDark] = useState(isDarkNow);
  const change = (): void => {
    chooseTheme(isDark ? 'light' : 'dark');
    setIsDark(!isDark);
  };
  return (
    <button class="button" type="button" onClick={change} aria-pressed={isDark}>
      Dark
    </button>
  );
}
