import { loadLanguage, saveLanguage, text } from './texts.js';

/** The languages of the pages, each by its own name. */
const NAMES = {
  de: 'Deutsch',
  en: 'English',
  es: 'Español',
  fr: 'Français',
  pt: 'Português',
  ar: 'العربية',
  hi: 'हिन्दी',
  zh: '中文',
};

/** Selects the language of the pages in this browser, and loads the page again in it. */
export function LanguageSelect() {
  return (
    <label class="field">
      {text('signIn.language')}
      <select
        class="input"
        value={loadLanguage()}
        onChange={(event) => {
          saveLanguage(event.currentTarget.value);
          location.reload();
        }}
      >
        <option value="">{text('signIn.asBrowser')}</option>
        {Object.entries(NAMES).map(([language, name]) => (
          <option key={language} value={language} lang={language}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}
