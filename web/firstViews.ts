import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import MessageFormat from '@messageformat/core';
import type { Plugin, Rollup } from 'vite';

interface Sources {
  /** The form as `SignIn.tsx` draws it for somebody new; `{name}` stands for a text. */
  readonly form: string;
  /** The files of texts, by language. */
  readonly texts: ReadonlyMap<string, string>;
  readonly rightToLeft: ReadonlySet<string>;
  /** Makes a message ready for its language. */
  readonly prepare: (message: string, language: string) => string;
  /** What a message may show. */
  readonly values: Readonly<Record<string, number>>;
}

const escaped = (text: string): string =>
  text.replace(/[&<>"]/g, (character) => `&#${character.codePointAt(0)};`);

/** The page for an address that has none; `{name}` stands for a text. */
const MISSING = '404.html';

const STYLES = /<link rel="stylesheet"[^>]* href="\/([^"]+)">/g;
const SCRIPTS = /<script type="module"[^>]*><\/script>|<link rel="modulepreload"[^>]*>/g;

/**
 * The page with its styles in it; their hash in the server's policy allows them. A disabled link loads nothing, and tells
 * the loader of later scripts that the styles of this file are there.
 */
const withStyles = (page: string, bundle: Rollup.OutputBundle): string =>
  page.replace(STYLES, (link, name: string) => {
    const file = bundle[name];
    if (file?.type !== 'asset') throw new Error(`there are no styles ${name}`);
    return `${link.replace('<link', '<link disabled')}<style>${String(file.source).trim()}</style>`;
  });

/** The chunk with the first texts of a language, which the page of this language needs at once. */
const findTexts = (bundle: Rollup.OutputBundle, language: string): string | undefined =>
  Object.values(bundle).find(
    (file) =>
      file.type === 'chunk' &&
      file.isDynamicEntry &&
      basename(file.facadeModuleId ?? '') === `${language}.json?first`,
  )?.fileName;

/**
 * Makes `drawn/<language>.html`: the page of the chat with the form for somebody new and its styles in it. A browser shows
 * the form at once and asks for the scripts after that; the script takes the form over when it has come. Makes
 * `404/<language>.html` of the page for an address that has none.
 */
export function drawFirstViews({ form, texts, rightToLeft, prepare, values }: Sources): Plugin {
  const template = readFileSync(form, 'utf8').replace(/\s*\n\s*/g, '');
  const draw = (template: string, language: string, messages: Readonly<Record<string, string>>): string => {
    const format = new MessageFormat(language);
    return template.replace(/\{(\w+\.\w+)\}/g, (_, name: string) => {
      const message = messages[name];
      if (message === undefined) throw new Error(`a page shows ${name}, which is no text`);
      return escaped(format.compile(prepare(message, language))(values));
    });
  };
  const inLanguage = (page: string, language: string): string =>
    page.replace(
      '<html lang="en">',
      `<html lang="${language}" dir="${rightToLeft.has(language) ? 'rtl' : 'ltr'}">`,
    );
  return {
    name: 'first-views',
    apply: 'build',
    enforce: 'post',
    generateBundle: {
      order: 'post',
      handler(_, bundle) {
        const [page, missing] = [bundle['index.html'], bundle[MISSING]];
        const loader = Object.values(bundle).find(
          (file) => file.type === 'chunk' && file.isEntry && file.name === 'afterPaint',
        )?.fileName;
        if (page?.type !== 'asset' || missing?.type !== 'asset' || !loader)
          throw new Error('the chat is not built');
        const styled = withStyles(String(page.source), bundle);
        const scripts = styled.match(SCRIPTS) ?? [];
        for (const [language, file] of texts) {
          const chunk = findTexts(bundle, language);
          const preload = chunk ? `<link rel="modulepreload" crossorigin href="/${chunk}">` : '';
          const messages = JSON.parse(readFileSync(file, 'utf8'));
          const form = draw(template, language, messages);
          const source = inLanguage(styled, language)
            .replace(SCRIPTS, '')
            .replace(
              '</head>',
              `<script type="module" fetchpriority="low" crossorigin src="/${loader}"></script>` +
                `<template>${scripts.join('')}${preload}</template></head>`,
            )
            .replace('<div id="app"></div>', () => `<div id="app" data-drawn>${form}</div>`);
          this.emitFile({ type: 'asset', fileName: `drawn/${language}.html`, source });
          const nothing = draw(inLanguage(String(missing.source), language), language, messages);
          this.emitFile({ type: 'asset', fileName: `404/${language}.html`, source: nothing });
        }
      },
    },
  };
}

/** Asks for the styles before the scripts: the first view needs them first, and the connection that is open is the fastest. */
export const stylesFirst: Plugin = {
  name: 'styles-first',
  apply: 'build',
  transformIndexHtml: {
    order: 'post',
    handler(html) {
      // A page without scripts has its styles where it wants them.
      if (!html.includes('<script')) return html;
      const styles = html.match(/<link rel="stylesheet"[^>]*>\s*/g) ?? [];
      const rest = styles.reduce((text, style) => text.replace(style, ''), html);
      return rest.replace('<script', () => `${styles.join('')}<script`);
    },
  },
};
