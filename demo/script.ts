/** The people and their devices. */
export const cast = {
  Ada: ['phone', 'laptop'],
  Ben: ['phone', 'tablet'],
  Cleo: ['phone'],
} as const;

export type Name = keyof typeof cast;

/** A message: its sender, the sender's device, the recipient and the text. */
export interface Line {
  readonly by: Name;
  readonly on: string;
  readonly to: Name;
  readonly text: string;
}

const line = (by: Name, on: string, to: Name, text: string): Line => ({ by, on, to, text });

/** Sent while the server runs. */
export const actOne: readonly Line[] = [
  line('Ada', 'phone', 'Ben', 'Are you at the station yet?'),
  line('Ben', 'phone', 'Ada', 'Platform 4. It is raining.'),
  line('Ada', 'laptop', 'Ben', 'It is always raining. 🌧'),
  line('Cleo', 'phone', 'Ada', 'Which train is he on?'),
  line('Ada', 'laptop', 'Cleo', 'The 18:04, if it comes.'),
];

/** Sent all at once; the server is killed before all are acknowledged. */
export const actTwo: readonly Line[] = [
  line('Ben', 'phone', 'Ada', 'They have changed the platform.'),
  line('Ben', 'phone', 'Ada', 'And changed it back.'),
  line('Cleo', 'phone', 'Ben', 'We have soup for three.'),
  line('Cleo', 'phone', 'Ben', 'Bring bread?'),
  line('Ada', 'laptop', 'Ben', 'Cleo made soup.'),
  line('Ada', 'phone', 'Cleo', 'He says they changed the platform.'),
  line('Ben', 'phone', 'Cleo', 'Bread, yes.'),
  line('Ada', 'phone', 'Cleo', 'And changed it back.'),
];

/** Written while the server is down. */
export const interlude: readonly Line[] = [
  line('Ada', 'laptop', 'Ben', 'Hello? Can you see this?'),
  line('Cleo', 'phone', 'Ada', 'Is it only me?'),
];

/** Sent after the restart. */
export const actThree: readonly Line[] = [
  line('Ben', 'tablet', 'Ada', 'I can see everything, and in the right order.'),
  line('Ada', 'phone', 'Cleo', 'Not only you. It is back.'),
  line('Cleo', 'phone', 'Ben', 'The soup is getting cold.'),
  line('Ben', 'phone', 'Cleo', 'Ten minutes.'),
];

/** The members of each room. */
export const pairs: readonly (readonly [Name, Name])[] = [
  ['Ada', 'Ben'],
  ['Ada', 'Cleo'],
  ['Ben', 'Cleo'],
];
