import MiniSearch from 'minisearch';
import { type Indexed, type Section, searchOptions } from './searchOptions.js';

/** A finished page, as the search sees it. */
export interface SearchedPage {
  readonly url: string;
  /** Its name in the navigation. */
  readonly name: string;
  /** The HTML of its text, without the navigation around it. */
  readonly html: string;
}

/** The headings that begin a section. A deeper heading belongs to the section around it. */
const HEADING = /<h[1-3] id="([^"]+)"><a [^>]*>(.*?)<\/a><\/h[1-3]>/g;
/** A row of a table that explains a name, such as a setting or a metric: the name, and the other cells. */
const NAMED_ROW = /<tr>\s*<td>(<code>.*?)<\/td>(.*?)<\/tr>/gs;

/**
 * Returns the sections of a page: the text under each heading of the first three levels, and each row of a table that
 * explains a name. A reader who looks for a setting finds its row, not a page of settings.
 */
export function sectionsOf({ url, name, html }: SearchedPage): readonly Section[] {
  const headings = [...html.matchAll(HEADING)];
  return headings.flatMap((found, index) => {
    const [whole, id = '', heading = ''] = found;
    const content = html.slice(found.index + whole.length, headings[index + 1]?.index);
    // The first heading is the page itself: its link leads to the top.
    const place = { url: index === 0 ? url : `${url}#${id}`, page: name };
    const rows = Array.from(content.matchAll(NAMED_ROW), ([, term = '', cells = '']) => ({
      ...place,
      heading: plain(term),
      text: plain(cells),
    }));
    return [{ ...place, heading: plain(heading), text: plain(content.replaceAll(NAMED_ROW, '')) }, ...rows];
  });
}

/** Returns the search index of all pages as JSON: the words, and the text of each section for the excerpts. */
export function searchIndex(pages: readonly SearchedPage[]): string {
  const index = new MiniSearch<Indexed>(searchOptions);
  index.addAll(pages.flatMap(sectionsOf).map((section, id) => ({ ...section, id })));
  return JSON.stringify(index);
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"' };

/** Returns the character of an entity: of a name such as `lt`, or a number such as `#39` or `#x27`. */
function characterOf(entity: string): string {
  const [, hex = '', digits = ''] = /^#(?:x([\da-f]+)|(\d+))$/i.exec(entity) ?? [];
  const code = hex === '' ? Number.parseInt(digits, 10) : Number.parseInt(hex, 16);
  return Number.isNaN(code) ? (ENTITIES[entity] ?? `&${entity};`) : String.fromCodePoint(code);
}

/** Returns the text of HTML. A tag of a block separates words, and a tag inside of a line does not. */
const plain = (html: string): string =>
  html
    .replaceAll(/<\/?(?:a|code|em|span|strong)\b[^>]*>/g, '')
    .replaceAll(/<[^>]+>/g, ' ')
    .replaceAll(/&(#?\w+);/g, (_, entity) => characterOf(entity))
    .replaceAll(/\s+/g, ' ')
    .trim();
