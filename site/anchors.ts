import type { MarkdownIt } from 'markdown-it';

/** Returns the anchor of a heading as Markdown hosts do: `When /ready is red` → `when-ready-is-red`. */
export const slug = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\- _]/gu, '')
    .replaceAll(' ', '-');

/** Gives every heading an id and a link to itself. The second heading of a name gets the suffix `-1`. */
export function anchors(md: MarkdownIt): void {
  md.core.ruler.push('anchors', ({ tokens }) => {
    const times = new Map<string, number>();
    for (const [index, token] of tokens.entries()) {
      if (token.type !== 'heading_open') continue;
      const text = (tokens[index + 1]?.children ?? []).map(({ content }) => content).join('');
      const name = slug(text);
      const before = times.get(name) ?? 0;
      times.set(name, before + 1);
      token.attrSet('id', before === 0 ? name : `${name}-${before}`);
    }
  });
  md.renderer.rules.heading_open = (tokens, index) => {
    const token = tokens[index];
    const id = token?.attrGet('id') ?? '';
    return `<${token?.tag} id="${id}"><a class="anchor" href="#${id}">`;
  };
  md.renderer.rules.heading_close = (tokens, index) => `</a></${tokens[index]?.tag}>\n`;
}
