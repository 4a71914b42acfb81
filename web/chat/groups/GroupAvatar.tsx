/** Dark enough for white text at a contrast of 4.5:1. */
const COLOURS = ['#1f5fa8', '#8a3b12', '#17663a', '#7a2a86', '#9c1f45', '#0b6470', '#5a4a00', '#4a46a8'];

interface Props {
  readonly roomId: string;
  readonly name: string;
}

/** The initials of a group in a colour of its own. Hidden from screen readers: the name always stands next to it. */
export function GroupAvatar({ roomId, name }: Props) {
  const colour = COLOURS[Number.parseInt(roomId.slice(-4), 16) % COLOURS.length];
  return (
    <span
      class="avatar group"
      aria-hidden="true"
      // The style sheet draws the initials: as text they would become part of the button's accessible name.
      data-initial={initialsOf(name)}
      style={{ backgroundColor: colour, color: '#ffffff' }}
    />
  );
}

const isWordStart = /[\p{L}\p{N}\p{Extended_Pictographic}]/u;

/** The first characters of the first two words. */
function initialsOf(name: string): string {
  const words = name.split(/\s+/u).filter((word) => isWordStart.test(word));
  return words
    .slice(0, 2)
    .map((word) => isWordStart.exec(word)?.[0] ?? '')
    .join('');
}
