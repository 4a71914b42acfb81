import { useState } from 'preact/hooks';
import { chooseTheme, type Theme, theme } from './theme.js';

const names = { system: 'As the system has it', light: 'Light', dark: 'Dark' } as const;
const themes: readonly Theme[] = ['system', 'light', 'dark'];

/** Light, dark, or whatever the system says. */
export function ThemeChoice() {
  const [chosen, setChosen] = useState(theme);
  return (
    <label class="field">
      Appearance
      <select
        class="input"
        value={chosen}
        onChange={(event) => {
          const next = themes.find((each) => each === event.currentTarget.value) ?? 'system';
          chooseTheme(next);
          setChosen(next);
        }}
      >
        {themes.map((each) => (
          <option key={each} value={each}>
            {names[each]}
          </option>
        ))}
      </select>
    </label>
  );
}
