/**
 * Starts the scripts of a page that came with the form in it, once the browser shows the form: on a phone they would take
 * the line and the processor from what is shown first. The build puts them in a template, which asks for nothing itself.
 */

/** Where `session.ts` keeps a session. This script imports nothing, so that it is one small file. */
const SESSION_KEY = 'parley.session';
/** Not every browser tells when it has painted, and a page in the background is not painted. */
const LONGEST_WAIT_MS = 300;

function hasSession(): boolean {
  try {
    return localStorage.getItem(SESSION_KEY) !== null;
  } catch {
    return false;
  }
}

/** The template is empty from then on: a second call does nothing. */
function start(): void {
  const scripts = document.querySelector('template');
  if (scripts) document.head.append(scripts.content);
}

/** The form's button is off until the page takes the form over. An Enter that was pressed before sends it then. */
function keepEnter(): void {
  const button = document.querySelector<HTMLButtonElement>('#app [type=submit]');
  const form = button?.form;
  if (!form) return;
  let isPressed = false;
  const listen = ({ key, target }: KeyboardEvent): void => {
    if (key === 'Enter' && target instanceof HTMLInputElement) isPressed = true;
  };
  form.addEventListener('keydown', listen);
  new MutationObserver((_, observer) => {
    if (button.disabled) return;
    observer.disconnect();
    form.removeEventListener('keydown', listen);
    if (isPressed) form.requestSubmit();
  }).observe(button, { attributeFilter: ['disabled'] });
}

// The cache was cleared, and the session was not: the user must not see the form before the chats.
if (hasSession()) {
  document.getElementById('app')?.replaceChildren();
  start();
} else {
  keepEnter();
  setTimeout(start, LONGEST_WAIT_MS);
  new PerformanceObserver((list) => {
    if (list.getEntriesByName('first-contentful-paint').length > 0) start();
  }).observe({ type: 'paint', buffered: true });
}
