import type { User } from '@parley/client';

const paths = {
  back: 'M15 5l-7 7 7 7',
  close: 'M6 6l12 12M18 6L6 18',
  menu: 'M4 7h16M4 12h16M4 17h16',
  search: 'M11 4a7 7 0 1 0 0 14a7 7 0 0 0 0-14zM16 16l4 4',
  send: 'M4 12l16-8-6 16-3-6z',
  reply: 'M9 6l-5 5 5 5M4 11h9a7 7 0 0 1 7 7',
  sent: 'M5 13l4 4L19 7',
  read: 'M2 13l4 4L14 8M11 16l1 1L22 7',
  waiting: 'M12 4a8 8 0 1 0 0 16a8 8 0 0 0 0-16zM12 8v4l3 2',
  refused: 'M12 4a8 8 0 1 0 0 16a8 8 0 0 0 0-16zM12 8v5M12 16v.5',
  down: 'M12 5v14M6 13l6 6 6-6',
  up: 'M12 19V5M6 11l6-6 6 6',
  react: 'M12 3a9 9 0 1 0 0 18a9 9 0 0 0 0-18zM8.5 14.5a4.5 4.5 0 0 0 7 0M9 9.5v.5M15 9.5v.5',
  copy: 'M9 9h11v11h-11zM15 9V4H4v11h5',
  edit: 'M4 20l1-4L16 5l3 3L8 19zM14 7l3 3',
  delete: 'M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13',
  more: 'M12 5a.5.5 0 1 0 0 1a.5.5 0 0 0 0-1zM12 11.5a.5.5 0 1 0 0 1a.5.5 0 0 0 0-1zM12 18a.5.5 0 1 0 0 1a.5.5 0 0 0 0-1z',
  person: 'M12 4a4 4 0 1 0 0 8a4 4 0 0 0 0-8zM4 20a8 6 0 0 1 16 0',
  group:
    'M9 5a3.5 3.5 0 1 0 0 7a3.5 3.5 0 0 0 0-7zM2 20a7 5.5 0 0 1 14 0M16 5.3a3.5 3.5 0 0 1 0 6.5M18 14.8a6 5 0 0 1 4 5.2',
  archive: 'M3 5h18v4H3zM5 9v10h14V9M10 13h4',
  pin: 'M9 4h6l-1 6 3 3v2H7v-2l3-3zM12 15v6',
  muted: 'M6 16v-5a6 6 0 0 1 9-5.2M18 11v5M4 16h13M10 20h4M4 4l16 16',
} as const;

export type IconName = keyof typeof paths;
/** Icons that point along the line of text: their mirror image where that runs from right to left. */
const pointing: ReadonlySet<string> = new Set(['back', 'reply', 'send']);

/** Hidden from screen readers: the text or the `aria-label` next to the icon says the same. */
export function Icon({ name }: { readonly name: IconName }) {
  return (
    <svg
      aria-hidden="true"
      class={pointing.has(name) ? 'pointing' : undefined}
      width="20"
      height="20"
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      stroke-width="2"
      stroke-linecap="round"
      stroke-linejoin="round"
    >
      <path d={paths[name]} />
    </svg>
  );
}

/** The user's colour and initial. Hidden from screen readers: the name always stands next to it. */
export function Avatar({ user }: { readonly user: User }) {
  const { backgroundColor, username, displayName } = user;
  const initial = Array.from(displayName ?? username ?? '')[0] ?? '';
  return (
    <span
      class="avatar"
      aria-hidden="true"
      // The style sheet draws the initial: as text it would become part of the button's accessible name.
      data-initial={initial}
      style={{ backgroundColor, color: textColourOn(backgroundColor) }}
    >
      {/* A deleted user has no name. */}
      {initial === '' && <Icon name="person" />}
    </span>
  );
}

/** Black or white, whichever has more contrast on `#rrggbb`, by relative luminance (WCAG 2.2). */
function textColourOn(colour: string): string {
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? '#000000' : '#ffffff';
}
