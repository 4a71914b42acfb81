import { consoleViews } from './consoleViews.js';
import { dialogViews } from './dialogViews.js';
import { docsViews } from './docsViews.js';
import { entryViews } from './entryViews.js';
import { listViews } from './listViews.js';
import { type Look, nameOfLook } from './looks.js';
import { messageViews } from './messageViews.js';
import type { View } from './view.js';

/** Every view of the pages. Those come last that change what others show. */
export const views: readonly View[] = [
  ...listViews,
  ...messageViews,
  ...dialogViews,
  ...consoleViews,
  ...docsViews,
  ...entryViews,
];

/** The views that a look has. */
export const viewsOf = ({ language, device }: Look): readonly View[] =>
  views.filter(({ isEnglish, only }) => (!isEnglish || language === 'en') && (only ?? device) === device);

/** `chats-phone-dark-ar.png` */
export const fileOf = ({ name }: View, look: Look): string => `${name}-${nameOfLook(look)}.png`;
