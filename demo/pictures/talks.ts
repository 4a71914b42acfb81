import type { Both, Name } from './people.js';

/** A message of the little world. */
export interface Line {
  readonly by: Name;
  readonly text: Both;
}

const line = (by: Name, english: string, arabic = english): Line => ({ by, text: [english, arabic] });

/** What Ada and Ben say: all that a private chat can show. */
export const withBen: readonly Line[] = [
  line('ben', 'Did you get the key from the neighbour?', 'هل أخذت المفتاح من الجارة؟'),
  line('ada', 'Yes, it lies under the third flowerpot', 'نعم، هو تحت الأصيص الثالث'),
  line('ada', 'The blue one 🪴', 'الأزرق 🪴'),
  line(
    'ben',
    'Great. The list of what we need is at https://lists.example/summer-house/2026?view=all and I have ticked off most of it already, apart from the wood for the stove and the two lamps.',
    'رائع. قائمة ما نحتاجه على https://lists.example/summer-house/2026?view=all وقد أنجزت معظمها، ما عدا حطب المدفأة والمصباحين.',
  ),
  line(
    'ada',
    'Two kinds of bread:\n• rye\n• the one with nuts',
    'نوعان من الخبز:\n• الجاودار\n• الذي بالجوز',
  ),
  line('ben', '🎉'),
  line('ben', 'مرحبا! هذا سطر بالعربية', 'And this line is in English, with 3 numbers: 4, 5 and 6.'),
  line('ada', 'Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft'),
  line('ben', 'I take this one back', 'أسحب هذه الرسالة'),
  line('ada', 'Train at 18:04, platform 4', 'القطار ١٨:٠٤، الرصيف ٤'),
  line('ben', 'See you there!', 'أراك هناك!'),
];

/** What the walkers say in their group. */
export const ofWalkers: readonly Line[] = [
  line('ben', 'Where do we meet on Sunday?', 'أين نلتقي يوم الأحد؟'),
  line(
    'ada',
    'At the mill, at nine. Bring boots: the path is wet.',
    'عند الطاحونة، في التاسعة. الطريق مبلل.',
  ),
  line('layla', 'I bring tea for everybody ☕', 'سأحضر الشاي للجميع ☕'),
  line('wolfram.m', 'I may be ten minutes late', 'قد أتأخر عشر دقائق'),
  line('cleo.marchetti', '+1'),
  line('max.power', 'Who needs boots?', 'من يحتاج إلى أحذية؟'),
  line('ada', 'We wait for you', 'سننتظرك'),
];

/** What Ada has not read yet in the group of neighbours. */
export const unreadOfNeighbours: readonly Line[] = [
  line('dora', 'The water is off on Tuesday from 8 to 12', 'ستنقطع المياه يوم الثلاثاء من ٨ إلى ١٢'),
  line('cleo.marchetti', 'On both sides of the street?', 'على جانبي الشارع؟'),
  line('dora', 'Only the even numbers', 'الأرقام الزوجية فقط'),
];

/** The first messages of private chats with Ada. */
export const openings: readonly (readonly [Name, Both])[] = [
  ['max.power', ['You owe me a lamp', 'أنت مدينة لي بمصباح']],
  ['zoe', ['I sold the tent', 'بعت الخيمة']],
  ['gone', ['Goodbye, and thank you', 'وداعا وشكرا']],
  [
    'wolfram.m',
    [
      'Please find the minutes of the annual general meeting of the allotment association below',
      'فيما يلي محضر الاجتماع السنوي العام لجمعية الحدائق',
    ],
  ],
  ['cleo.marchetti', ['Soup at eight?', 'حساء في الثامنة؟']],
  ['layla', ['صورت الغروب من الجسر', 'صورت الغروب من الجسر']],
];

/** Who asks to be let in, and with what. */
export const requests: readonly (readonly [Name, Both])[] = [
  ['sales-4-you', ['Cheap lamps!!! Buy 3, pay 2', 'مصابيح رخيصة!!! اشتر ٣ وادفع ثمن ٢']],
  [
    'dmitri.v',
    [
      'Hello Ada, we met at the map fair. Do you still have the 1911 survey?',
      'مرحبا آدا، التقينا في معرض الخرائط.',
    ],
  ],
];
