import type { Scene } from './scene.js';
import type { View } from './view.js';

const page = (name: string, path: string, show?: View['show']): View => ({
  name: `docs-${name}`,
  isEnglish: true,
  async show(scene: Scene) {
    await scene.visit(path);
    await scene.rest();
    await show?.(scene);
  },
});

/** The documentation. */
export const docsViews: readonly View[] = [
  page('home', '/docs'),
  page('page', '/docs/concepts'),
  page('reference', '/docs/reference'),
  page('protocol', '/docs/protocol'),
  page('security', '/docs/security'),
  page('search', '/docs', async (scene) => {
    await scene.page.keyboard.press('/');
    await scene.page.keyboard.type('lost master key');
    await scene.page.getByRole('search').getByRole('link').first().waitFor();
  }),
  page('search-none', '/docs', async (scene) => {
    await scene.page.keyboard.press('/');
    await scene.page.keyboard.type('zzzz qqqq');
    await scene.page.getByText('Nothing found').waitFor();
  }),
  page('rest', '/docs/rest'),
];
