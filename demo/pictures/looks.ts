import type { BrowserContextOptions } from 'playwright-core';
import { PHONE } from '../../test/browser/person.js';

/** The languages of the pictures: one that runs from left to right, and one from right to left. */
export type Language = 'en' | 'ar';

/** What one set of pictures is taken with: a device, a colour scheme and a language. */
export interface Look {
  readonly device: 'desktop' | 'phone';
  readonly scheme: 'light' | 'dark';
  readonly language: Language;
}

/** Every look, the most frequent one first. */
export const looks: readonly Look[] = (['en', 'ar'] as const).flatMap((language) =>
  (['desktop', 'phone'] as const).flatMap((device) =>
    (['light', 'dark'] as const).map((scheme) => ({ device, scheme, language })),
  ),
);

/** `phone-dark-ar` */
export const nameOfLook = ({ device, scheme, language }: Look): string => `${device}-${scheme}-${language}`;

/** The browser window of a look. */
export const windowOf = ({ device, scheme, language }: Look): BrowserContextOptions => ({
  ...(device === 'phone' ? PHONE : { viewport: { width: 1280, height: 800 } }),
  colorScheme: scheme,
  locale: language === 'ar' ? 'ar' : 'en-GB',
  // The pages keep nothing between two pictures.
  serviceWorkers: 'block',
  reducedMotion: 'reduce',
});
