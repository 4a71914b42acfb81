import type { User } from '../../src/client/index.js';

/** Black or white, whichever is easier to read on `#rrggbb`: by its relative luminance (WCAG 2.2). */
function inkOn(colour: string): string {
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? '#000000' : '#ffffff';
}

/** A person's colour and initial; their name stands beside it, so that it is nothing to a screen reader. */
export function Avatar({ user }: { readonly user: User }) {
  const { backgroundColor, username } = user;
  return (
    <span
      class="avatar"
      aria-hidden="true"
      // Drawn by the style sheet: as text it would be part of what buttons around it are called.
      data-initial={username?.slice(0, 1) ?? ''}
      style={{ backgroundColor, color: inkOn(backgroundColor) }}
    />
  );
}
