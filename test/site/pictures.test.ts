import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { looks } from '../../demo/pictures/looks.js';
import { fileOf, views, viewsOf } from '../../demo/pictures/views.js';

/** Compiled tests are one folder deeper than their sources. */
const source = (path: string): string =>
  readFileSync(new URL(`../../../web/${path}`, import.meta.url), 'utf8');

/** The words in quotation marks of a declaration, after each of its fields of this name, or all of them. */
function words(path: string, declaration: string, field = ''): string[] {
  const text = source(path);
  const start = text.indexOf(declaration);
  expect(start, `${path} declares ${declaration}`).to.be.at.least(0);
  const [body = ''] = text.slice(start + declaration.length).split(/;\n\n|as const/);
  const parts = field === '' ? [body] : [...body.matchAll(new RegExp(`readonly ${field}:([^;}]*)`, 'g'))];
  return parts.flatMap((part) => [...String(part).matchAll(/'([^']+)'/g)].map(([, word = '']) => word));
}

/** Every part of the pages that is a view, as the code names it. */
const parts = {
  dialog: words('chat/chatContext.ts', 'export type DialogView =', 'name'),
  message: words('chat/messages/Conversation.tsx', 'export type OpenDialog =', 'kind'),
  list: words('chat/ChatList.tsx', 'export type ListName ='),
  entry: words('ui/SignIn.tsx', 'type Mode ='),
  audit: words('audit/route.ts', 'export const views ='),
  admin: words('admin/AdminApp.tsx', 'const views ='),
};

describe('The pictures of the pages', () => {
  for (const [kind, names] of Object.entries(parts))
    it(`show each view that the code has: ${kind}`, () => {
      const shown = new Set(views.flatMap(({ shows = [] }) => shows));
      const known = names.map((name) => `${kind} ${name}`);
      expect(known).to.have.length.above(2);
      expect(known.filter((part) => !shown.has(part))).to.deep.equal([]);
      const named = [...shown].filter((part) => part.startsWith(`${kind} `));
      expect(
        named.filter((part) => !known.includes(part)),
        'the code has no such view',
      ).to.deep.equal([]);
    });

  it('have a name each', () => {
    const files = looks.flatMap((look) => viewsOf(look).map((view) => fileOf(view, look)));
    expect(new Set(files).size).to.equal(files.length);
    expect(files).to.include.members(['chats-phone-dark-ar.png', 'docs-home-desktop-light-en.png']);
    expect(files).not.to.include('docs-home-desktop-light-ar.png');
  });
});
