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

/** Code as HTML, coloured by classes alone; a language that is not known stays plain. */
function highlighted(code: string, language: string): string {
  if (hljs.getLanguage(language) === undefined) return escaped(code);
  return hljs.highlight(code, { language }).value;
}

/** Text as HTML. */
export const escaped = (text: string): string => new MarkdownIt().utils.escapeHtml(text);

/** A rendered text with what its page needs to know of it. */
export interface Text {
  /** Of its first heading. */
  readonly title: string;
  readonly html: string;
}

/**
 * Renders Markdown without raw HTML, styles or scripts, so that the strictest policy allows it.
 *
 * @param link says where a link or an image in it leads; it throws where there is nothing
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
  // Wide tables scroll by themselves; the keyboard must reach what scrolls.
  md.renderer.rules.table_open = () => `${scrolling('Table')}<table>\n`;
  md.renderer.rules.table_close = () => '</table></div>\n';
  // A column without a head is none for a reader of the screen.
  const html = md.render(markdown).replaceAll(/<th[^>]*><\/th>/g, '<td></td>');
  const [, title = ''] = /^# (.+)$/m.exec(markdown) ?? [];
  return { title: title.replaceAll('`', ''), html };
}

function allowed(name: string, value: string, link: (href: string) => string): [string, string] {
  if (name === 'href' || name === 'src') return [name, link(value)];
  // A column's alignment comes as a style, which the policy forbids.
  return name === 'style' ? ['class', value.replace('text-align:', 'to-')] : [name, value];
}

/** A block of code that scrolls by itself. */
const codeBlock = (code: string, language: string): string =>
  `<pre tabindex="0"><code class="language-${language || 'text'}">${highlighted(code, language)}</code></pre>\n`;

/** The beginning of a box that scrolls sideways. */
const scrolling = (label: string): string =>
  `<div class="wide" role="group" aria-label="${label}" tabindex="0">`;
