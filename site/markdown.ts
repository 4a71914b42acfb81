import hljs from 'highlight.js/lib/core';
import bash from 'highlight.js/lib/languages/bash';
import javascript from 'highlight.js/lib/languages/javascript';
import json from 'highlight.js/lib/languages/json';
import typescript from 'highlight.js/lib/languages/typescript';
import MarkdownIt from 'markdown-it';
import { anchors } from './anchors.js';

hljs.registerLanguage('sh', bash);
hljs.registerLanguage('js', javascript);
hljs.registerLanguage('json', json);
hljs.registerLanguage('ts', typescript);

/** Returns code as HTML, coloured by classes only. Code of an unknown language stays plain. */
function highlighted(code: string, language: string): string {
  if (hljs.getLanguage(language) === undefined) return escaped(code);
  return hljs.highlight(code, { language }).value;
}

/** Escapes text for HTML. */
export const escaped = (text: string): string => new MarkdownIt().utils.escapeHtml(text);

/** A rendered text and its title. */
export interface Text {
  /** The text of the first heading. */
  readonly title: string;
  readonly html: string;
}

/**
 * Renders Markdown without raw HTML, styles or scripts, so that the content security policy allows the result.
 *
 * @param link maps the target of a link or an image; throws if the target does not exist
 */
export function render(markdown: string, link: (href: string) => string): Text {
  const md = new MarkdownIt({ html: false });
  md.use(anchors);
  md.core.ruler.push('site', ({ tokens }) => {
    for (const token of tokens.flatMap((each) => [each, ...(each.children ?? [])]))
      token.attrs = (token.attrs ?? []).map(([name, value]) => allowed(name, String(value), link));
  });
  md.renderer.rules.fence = (tokens, index) => {
    const { content = '', info = '' } = tokens[index] ?? {};
    return codeBlock(content, info.trim().split(' ')[0] ?? '');
  };
  // A wide table scrolls inside its own box. The box takes the focus, so that the keyboard can scroll it.
  md.renderer.rules.table_open = () => `${scrolling('Table')}<table>\n`;
  md.renderer.rules.table_close = () => '</table></div>\n';
  // Screen readers announce an empty header cell, so an empty one becomes a data cell.
  const html = md.render(markdown).replaceAll(/<th[^>]*><\/th>/g, '<td></td>');
  const [, title = ''] = /^# (.+)$/m.exec(markdown) ?? [];
  return { title: title.replaceAll('`', ''), html };
}

function allowed(name: string, value: string, link: (href: string) => string): [string, string] {
  if (name === 'href' || name === 'src') return [name, link(value)];
  // markdown-it sets the alignment of a column by a style attribute, and the policy forbids these.
  return name === 'style' ? ['class', value.replace('text-align:', 'to-')] : [name, value];
}

/** Returns a block of code that scrolls inside its own box. */
const codeBlock = (code: string, language: string): string =>
  `<pre tabindex="0"><code class="language-${language || 'text'}">${highlighted(code, language)}</code></pre>\n`;

/** Returns the opening tag of a box that scrolls horizontally. */
const scrolling = (label: string): string =>
  `<div class="wide" role="group" aria-label="${label}" tabindex="0">`;
