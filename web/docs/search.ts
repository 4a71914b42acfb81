import MiniSearch from 'minisearch';
import { type Indexed, type Section, searchOptions, wordsOf } from '../../site/searchOptions.js';

/** More results than this help nobody: a further word does. */
const MAX_RESULTS = 20;
const EXCERPT_CHARS = 160;

/** A section that matches, and the words in it that do. */
interface Hit extends Section {
  readonly words: readonly string[];
}

/** The search box of the documentation. The page has its elements, hidden until this script runs. */
class SearchBox {
  readonly #box: HTMLElement;
  readonly #field: HTMLInputElement;
  readonly #panel: HTMLElement;
  readonly #status: HTMLElement;
  readonly #list: HTMLElement;
  #index: Promise<MiniSearch<Indexed>> | undefined;

  constructor(box: HTMLElement) {
    this.#box = box;
    this.#field = part(box, 'input', HTMLInputElement);
    this.#panel = part(box, '.results', HTMLElement);
    this.#status = part(box, '[role=status]', HTMLElement);
    this.#list = part(box, 'ol', HTMLElement);
  }

  start(): void {
    this.#box.hidden = false;
    this.#field.addEventListener('focus', () => void this.#search());
    this.#field.addEventListener('input', () => void this.#search());
    this.#box.addEventListener('keydown', (event) => this.#move(event));
    this.#box.addEventListener('focusout', ({ relatedTarget }) => {
      if (relatedTarget instanceof Node && !this.#box.contains(relatedTarget)) this.#close();
    });
    // A link to a section of this page loads no new page, so nothing else closes the list.
    this.#list.addEventListener('click', () => this.#close());
    document.addEventListener('pointerdown', ({ target }) => {
      if (target instanceof Node && !this.#box.contains(target)) this.#close();
    });
    document.addEventListener('keydown', (event) => {
      if (!isShortcut(event)) return;
      event.preventDefault();
      this.#field.focus();
      this.#field.select();
    });
  }

  async #search(): Promise<void> {
    const query = this.#field.value.trim();
    if (query === '') return this.#close();
    try {
      this.#index ??= load(this.#box.dataset.index ?? '');
      const hits = find(await this.#index, query);
      // The reader typed on while the index was loaded: the later call shows its own result.
      if (query === this.#field.value.trim()) this.#show(hits);
    } catch {
      this.#index = undefined;
      this.#list.replaceChildren();
      this.#open('The search could not be loaded. Keep typing to try again.');
    }
  }

  #show(hits: readonly Hit[]): void {
    this.#list.replaceChildren(...hits.slice(0, MAX_RESULTS).map(row));
    const more = hits.length > MAX_RESULTS ? `, the first ${MAX_RESULTS} are shown` : '';
    this.#open(
      hits.length === 0
        ? 'Nothing found. Try fewer or other words.'
        : `${hits.length} ${hits.length === 1 ? 'section' : 'sections'}${more}`,
    );
  }

  #open(status: string): void {
    this.#status.textContent = status;
    this.#panel.hidden = false;
    this.#panel.scrollTop = 0;
  }

  #close(): void {
    this.#panel.hidden = true;
  }

  /** Moves between the field and the results by the arrow keys. */
  #move(event: KeyboardEvent): void {
    if (event.isComposing) return;
    const stops = [this.#field, ...(this.#panel.hidden ? [] : this.#list.querySelectorAll('a'))];
    const at = stops.findIndex((stop) => stop.matches(':focus'));
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Escape: 0 }[event.key];
    if (event.key === 'Enter' && at === 0) stops[1]?.click();
    if (to === undefined) return;
    event.preventDefault();
    stops[Math.max(0, Math.min(to, stops.length - 1))]?.focus();
    if (event.key === 'Escape') this.#close();
  }
}

async function load(url: string): Promise<MiniSearch<Indexed>> {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  return MiniSearch.loadJSON<Indexed>(await answer.text(), searchOptions);
}

/** Returns the sections with all words of the query, or those with any if no section has all. */
function find(index: MiniSearch<Indexed>, query: string): readonly Hit[] {
  const all = index.search(query);
  const found = all.length > 0 ? all : index.search(query, { combineWith: 'OR' });
  return found.map(({ url, page, heading, text, terms }) => ({ url, page, heading, text, words: terms }));
}

function row({ url, page, heading, text, words }: Hit): HTMLElement {
  const link = document.createElement('a');
  link.className = 'result';
  link.href = url;
  const title = document.createElement('strong');
  title.append(...marked(heading, words));
  const where = document.createElement('span');
  where.className = 'result-page';
  where.textContent = page;
  const excerpt = document.createElement('span');
  excerpt.className = 'result-text';
  excerpt.append(...marked(excerptOf(text, words), words));
  link.append(title, ' ', where, excerpt);
  const item = document.createElement('li');
  item.append(link);
  return item;
}

/** Returns a piece of the text that begins shortly before the first word that matches. */
function excerptOf(text: string, words: readonly string[]): string {
  const [first] = matchesIn(text, words);
  const at = text.lastIndexOf(' ', Math.max(0, (first?.index ?? 0) - EXCERPT_CHARS / 4)) + 1;
  const isCut = at + EXCERPT_CHARS < text.length;
  const piece = text.slice(at, at + EXCERPT_CHARS);
  return `${at > 0 ? '… ' : ''}${isCut ? `${piece.replace(/\S*$/, '')}…` : piece}`;
}

/** Returns the text as nodes, with the words that match marked. */
function marked(text: string, words: readonly string[]): (string | HTMLElement)[] {
  const nodes: (string | HTMLElement)[] = [];
  let end = 0;
  for (const found of matchesIn(text, words)) {
    const mark = document.createElement('mark');
    mark.textContent = found[0];
    nodes.push(text.slice(end, found.index), mark);
    end = found.index + found[0].length;
  }
  return [...nodes, text.slice(end)];
}

const matchesIn = (text: string, words: readonly string[]): RegExpExecArray[] => {
  const known = words.flatMap(wordsOf).sort((a, b) => b.length - a.length);
  return known.length === 0
    ? []
    : [...text.matchAll(new RegExp(`(?<![\\p{L}\\p{N}])(?:${known.join('|')})`, 'giu'))];
};

/** Whether a key asks for the search: Ctrl-K or Cmd-K anywhere, and `/` outside of fields. */
function isShortcut({ key, ctrlKey, metaKey, altKey, target }: KeyboardEvent): boolean {
  if (key === 'k') return (ctrlKey || metaKey) && !altKey;
  const isTyping = target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement;
  return key === '/' && !ctrlKey && !metaKey && !altKey && !isTyping;
}

/** Finds a part of the box that the layout of the page has. */
function part<T extends HTMLElement>(box: HTMLElement, selector: string, type: new () => T): T {
  const found = box.querySelector(selector);
  if (!(found instanceof type)) throw new Error(`the page has no ${selector}`);
  return found;
}

const box = document.querySelector<HTMLElement>('[data-index]');
if (box) new SearchBox(box).start();
