// Dark enough for white initials to be read on them (4.5 : 1 and more, WCAG 2.2 AA).
const palette = [
  '#b23a48',
  '#a4442a',
  '#8a5a00',
  '#5f6b12',
  '#2f7a3d',
  '#13766b',
  '#0f718f',
  '#2563b8',
  '#4f55c4',
  '#7a46b8',
  '#9a3b98',
  '#a83a6e',
] as const;

/** A background for a user's initials; `random` is from 0 to below 1. */
export function chooseColor(random: number): string {
  return palette[Math.floor(random * palette.length)] ?? palette[0];
}
