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
  bell: 'M6 16V11a6 6 0 0 1 12 0v5l2 2H4zM10 20h4',
} as const;

export type IconName = keyof typeof paths;

/** A picture that only repeats what is said beside it, or what the `aria-label` around it says. */
export function Icon({ name }: { readonly name: IconName }) {
  return (
    <svg
      aria-hidden="true"
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
