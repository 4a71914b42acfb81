import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import type { Page } from 'playwright-core';
import { Rest } from '../../packages/client/src/rest.js';
import { openWorld } from '../support/browser.js';
import { eventually } from '../support/eventually.js';
import { isSoak } from '../support/lanes.js';
import { signUp } from '../support/people.js';
import { RawSocket } from '../support/rawSocket.js';
import { leadTo, Person } from './person.js';

const MANY = isSoak ? 10_000 : 3_000;
/** The maximum number of messages in the page: one screen and the overscan. */
const FEW = 120;
/** Messages sent at once: few enough that the read models of a slow machine keep up. */
const BATCH = 100;

/** Runs in the page: the first visible message and its distance from the top, once nothing has moved for 20 frames. */
const WHEN_STILL = `new Promise((resolve) => {
  let [last, frames] = ['', 0];
  const look = () => {
    const { top } = document.querySelector('.scroller').getBoundingClientRect();
    const item = [...document.querySelectorAll('.scroller article')].find((each) => each.getBoundingClientRect().bottom > top);
    const seen = item.querySelector('.text').textContent + ' ' + Math.round(item.getBoundingClientRect().top - top);
    frames = seen === last ? frames + 1 : 0;
    last = seen;
    if (frames === 20) resolve(seen);
    else requestAnimationFrame(look);
  };
  look();
})`;

describe(`A history of ${MANY} messages in the web chat`, function () {
  this.timeout(240_000);
  const world = openWorld({ RATE_LIMIT: 'off' });

  /** A room with a user who writes through a raw socket. */
  async function writerTo(reader: Person): Promise<{ socket: RawSocket; roomId: string }> {
    const { username, password } = await signUp(world.server, `writer-to-${reader.name}`);
    const { token } = await new Rest(world.server.url).signIn(username, password);
    const socket = await RawSocket.open(world.server.wsUrl, token);
    const [found] = await new Rest(world.server.url).search(token, reader.name);
    const { room } = await socket.request('init chat', { friendId: found?.userId ?? '' });
    return { socket, roomId: room.roomId };
  }

  it('can be scrolled to its start, with few messages in the page and none skipped', async () => {
    const ann = await Person.at(world.browser, world.server.url);
    const { socket, roomId } = await writerTo(ann);
    for (let n = 0; n < MANY; n += BATCH)
      await Promise.all(
        Array.from({ length: BATCH }, (_, i) => {
          const message = `message ${n + i + 1}${(n + i) % 7 === 0 ? ' that is so long that it takes more than one line of a narrow window' : ''}`;
          return socket.request('send message', { roomId, messageId: randomUUID(), message });
        }),
      );

    await ann.chat('writer').click();
    await ann.message(`message ${MANY}`).waitFor();
    const scroller = ann.page.locator('.scroller');
    const drawn = (): Promise<number> => ann.page.getByRole('article').count();
    const first = ann.page.getByText('message 1 that', { exact: false });
    // The wheel scrolls the element under the pointer, a few screens with each turn.
    await scroller.hover();
    let turns = 0;
    while (!(await first.isVisible())) {
      expect(++turns, 'turns of the wheel').to.be.below(3000);
      await ann.page.mouse.wheel(0, -4000);
      if (turns % 50 === 0) expect(await drawn()).to.be.below(FEW);
    }
    expect(await drawn()).to.be.below(FEW);
    // The messages in the page are consecutive.
    const numbers = (await ann.page.getByRole('article').allInnerTexts()).map((text) =>
      Number(/message (\d+)/.exec(text)?.[1]),
    );
    expect(numbers).to.deep.equal(Array.from(numbers, (_, i) => i + 1));

    await socket.request('send message', {
      roomId,
      messageId: randomUUID(),
      message: 'one more',
    });
    expect(await first.isVisible(), 'a new message does not move the view').to.equal(true);
    await ann.page.getByRole('button', { name: 'Go to the newest message' }).click();
    await ann.message('one more').waitFor();
    expect(await drawn()).to.be.below(FEW);
    expect(ann.strangers).to.deep.equal([]);
    await ann.close();
    await socket.close();
  });

  it('keeps its scroll position while earlier messages are inserted above', async () => {
    /** The server's answers with pages of history, held back while `isHeld`. */
    const held: (() => void)[] = [];
    let isHeld = false;
    const holdBack = (page: Page): Promise<void> =>
      page.routeWebSocket(/\/ws$/, (socket) => {
        socket.connectToServer().onMessage((text) => {
          const isPage = isHeld && text.includes('"event":"fetch messages"');
          if (isPage) held.push(() => socket.send(text));
          else socket.send(text);
        });
      });
    const ann = await Person.at(world.browser, world.server.url, {}, holdBack);
    const { socket, roomId } = await writerTo(ann);
    for (let n = 1; n <= 120; n++)
      await socket.request('send message', { roomId, messageId: randomUUID(), message: `line ${n}` });
    await ann.chat('writer').click();
    await ann.message('line 115').waitFor();
    isHeld = true;
    await ann.page.locator('.scroller').hover();
    const inView = (): Promise<string> => ann.page.evaluate<string>(WHEN_STILL);
    let before = await inView();
    // Scrolls up until the page requests earlier messages.
    while (held.length === 0) {
      await ann.page.mouse.wheel(0, -300);
      before = await inView();
    }
    const height = (): Promise<number> =>
      ann.page.evaluate<number>("document.querySelector('.scroller').scrollHeight");
    const high = await height();
    for (const release of held) release();
    await eventually('the page has come', async () => (await height()) > high + 1000);
    expect(await inView()).to.equal(before);
    await ann.close();
    await socket.close();
  });

  it('leads to messages far back by one request, and goes on from there in both directions', async () => {
    /** What the page sends, by name. */
    const sent: string[] = [];
    const listen = async (page: Page): Promise<void> => {
      page.on('websocket', (socket) =>
        socket.on('framesent', ({ payload }) => sent.push(String(JSON.parse(String(payload)).event))),
      );
    };
    const ann = await Person.at(world.browser, world.server.url, {}, listen);
    const { socket, roomId } = await writerTo(ann);
    const write = (message: string, replyTo?: string) => {
      const messageId = randomUUID();
      const data = { roomId, messageId, message, ...(replyTo && { replyTo }) };
      return socket.request('send message', data).then(() => messageId);
    };
    const far: string[] = [];
    for (let n = 1; n <= 400; n++) far.push(await write(`line ${n}`));
    const [quoted = ''] = far.slice(199);
    await write('the answer', quoted);
    await ann.chat('writer').click();
    await ann.message('the answer').waitFor();
    const inView = (): Promise<string> => ann.page.evaluate<string>(WHEN_STILL);
    await inView();

    const before = sent.filter((event) => event === 'fetch messages').length;
    await leadTo(ann.page, 'line 200', () => ann.message('the answer').locator('.quote').click());
    const there = await inView();
    expect(sent.filter((event) => event === 'fetch messages').length - before, 'requests').to.be.within(1, 2);
    await numbersAreConsecutive(ann);

    // What comes meanwhile is no neighbour of old messages, and is not read.
    const marks = sent.filter((event) => event === 'read messages').length;
    await write('while away');
    await ann.page.locator('.newest .unread').filter({ hasText: '1' }).waitFor();
    await socket.request('edit message', {
      ...{ roomId, messageId: quoted, editId: randomUUID(), message: 'line 200 changed' },
    });
    await ann.message('line 200 changed').waitFor();
    expect(await ann.message('while away').count()).to.equal(0);
    expect((await inView()).replace(' changed', '')).to.equal(there.replace(' changed', ''));
    expect(sent.filter((event) => event === 'read messages').length).to.equal(marks);

    const scroller = ann.page.locator('.scroller');
    await scroller.hover();
    const scrollTo = async (text: string, px: number): Promise<void> => {
      // Not the line in the list of chats.
      const wanted = scroller.getByText(text, { exact: true }).last();
      for (let turns = 0; !(await wanted.isVisible()); turns++) {
        expect(turns, 'turns of the wheel').to.be.below(500);
        await ann.page.mouse.wheel(0, px);
        await inView();
        await numbersAreConsecutive(ann);
      }
    };
    await scrollTo('line 1', -600);
    await scrollTo('while away', 900);
    // The last rows may be below the view.
    await ann.page.mouse.wheel(0, 2000);
    await eventually(
      'the newest is read',
      async () =>
        (await ann.page.locator('.newest').count()) === 0 &&
        sent.filter((event) => event === 'read messages').length > marks,
    );

    // From another part, the button leads back, and so does a message of one's own.
    for (const way of ['button', 'own']) {
      await ann.page.reload();
      await ann.message('while away').waitFor();
      await ann.page.mouse.wheel(0, -300);
      await ann.message('the answer').locator('.quote').click();
      // Not in the quote, which is there before.
      const quotedLine = ann.message('line 200').filter({ hasNotText: 'the answer' });
      await quotedLine.waitFor();
      if (way === 'own') await ann.say('my own');
      else await ann.page.getByRole('button', { name: 'Go to the newest message' }).click();
      await ann.message(way === 'own' ? 'my own' : 'while away').waitFor();
      expect(await quotedLine.count()).to.equal(0);
    }
    expect(ann.strangers).to.deep.equal([]);
    await ann.close();
    await socket.close();
  });
});

/** The lines in the page follow each other, but for one that has the focus and stays in the page out of view. */
async function numbersAreConsecutive({ page }: Person): Promise<void> {
  const lines = await page
    .locator('article')
    .evaluateAll((articles) =>
      articles.map(
        (article) =>
          [article.querySelector('.text')?.textContent ?? '', article.matches('[tabindex="0"]')] as const,
      ),
    );
  const numbersIn = (shown: typeof lines): readonly number[] =>
    shown.flatMap(([text]) => {
      const [, n] = /^line (\d+)/.exec(text) ?? [];
      return n === undefined ? [] : [Number(n)];
    });
  const rising = ([first = 0, ...others]: readonly number[]) => [
    first,
    ...others.map((_, i) => first + 1 + i),
  ];
  const all = numbersIn(lines);
  const others = numbersIn(lines.filter(([, isStop]) => !isStop));
  if (String(others) === String(rising(others))) return;
  expect(all).to.deep.equal(rising(all));
}
