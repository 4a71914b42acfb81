import { Rest, type SignedIn } from '../../packages/client/src/index.js';
import { type Device, newDevice, type Person, signUp } from '../../test/support/people.js';
import type { ServerProcess } from '../../test/support/server.js';
import type { Language } from './looks.js';

/** A text in both languages of the pictures. */
export type Both = readonly [english: string, arabic: string];

interface Profile {
  readonly name?: Both;
  readonly status?: Both;
  readonly about?: Both;
}

/** The people of the pictures, by their user names. */
const profiles = {
  ada: {
    name: ['Ada Lindqvist', 'آدا ليندكفيست'],
    status: ['At the lake until Sunday 🏊', 'عند البحيرة حتى الأحد 🏊'],
    about: [
      'Maps, bread and long walks.\nWrite to me about any of them.',
      'خرائط وخبز ومشي طويل.\nاكتبوا لي عن أي منها.',
    ],
  },
  ben: {
    name: ['Ben Okafor', 'بِن أوكافور'],
    status: ['Working from home', 'أعمل من المنزل'],
    about: [
      'Radio engineer. My garden is at https://garden.example/ben and I answer in the evening.',
      'مهندس راديو. حديقتي على https://garden.example/ben وأجيب في المساء.',
    ],
  },
  'cleo.marchetti': { name: ['Cleo Marchetti', 'كليو ماركيتي'] },
  layla: { name: ['Layla Haddad', 'ليلى حداد'], status: ['At work', 'في العمل'] },
  'wolfram.m': {
    name: ['Wolfram-Maximilian von Hohenberg-Schöneburg', 'عبد الرحمن بن عبد العزيز بن محمد الهاشمي القرشي'],
  },
  dora: {},
  'dmitri.v': { name: ['Dmitri Volkov', 'ديمتري فولكوف'] },
  'sales-4-you': {},
  'max.power': { name: ['Max Power', 'ماكس باور'] },
  zoe: { name: ['Zoe Brandt', 'زوي براندت'] },
  gone: {},
  mia: { name: ['Mia Sørensen', 'ميا سورنسن'] },
  ola: { name: ['Ola Nilsen', 'أولا نيلسن'] },
} as const satisfies Readonly<Record<string, Profile>>;

export type Name = keyof typeof profiles;

/** Somebody of the pictures: who they are, their device, and a session for their pages. */
export interface Player {
  readonly person: Person;
  readonly device: Device;
  readonly session: SignedIn;
  /** The name that others see. */
  readonly title: string;
}

/** Signs up all people, with their profiles. */
export async function signUpAll(
  server: ServerProcess,
  language: Language,
): Promise<ReadonlyMap<Name, Player>> {
  const rest = new Rest(server.url);
  const players = new Map<Name, Player>();
  for (const [username, profile] of Object.entries<Profile>(profiles)) {
    const person = await signUp(server, username);
    const { token } = await rest.signIn(username, person.password);
    const changes = Object.fromEntries(
      (['name', 'status', 'about'] as const).flatMap((field) => {
        const text = profile[field];
        return text ? [[field === 'name' ? 'displayName' : field, inLanguage(text, language)]] : [];
      }),
    );
    if (Object.keys(changes).length > 0) await rest.changeProfile(token, changes);
    const session = await rest.signIn(username, person.password);
    const device = await newDevice(server, person);
    await device.client.ready;
    const title = profile.name ? inLanguage(profile.name, language) : username;
    // The keys of `profiles` are the names.
    players.set(username as Name, { person, device, session, title });
  }
  return players;
}

export const inLanguage = ([english, arabic]: Both, language: Language): string =>
  language === 'ar' ? arabic : english;
