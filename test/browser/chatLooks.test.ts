import { expect } from 'chai';
import { axe, looks, openWorld, screenshot } from '../support/browser.js';
import { tabTo } from './keyboard.js';
import { Person } from './person.js';

describe('The accessibility of the web chat', function () {
  this.timeout(120_000);
  const world = openWorld();

  for (const { name, options } of looks)
    it(`has no axe violations in any view (${name})`, async () => {
      const look = async (person: Person, view: string): Promise<void> => {
        await screenshot(person.page, `chat-${view}-${name}`);
        expect(await axe(person.page), view).to.deep.equal([]);
      };
      const stranger = await (await world.browser.newContext(options)).newPage();
      await stranger.goto(world.server.url);
      await stranger.getByLabel('User name').waitFor();
      await screenshot(stranger, `chat-sign-in-${name}`);
      expect(await axe(stranger)).to.deep.equal([]);

      const [ann, bob] = [
        await Person.at(world.browser, world.server.url, options),
        await Person.at(world.browser, world.server.url, options),
      ];
      await ann.page.getByRole('heading', { name: 'Start a chat' }).waitFor();
      await look(ann, 'beginning');
      await ann.search.fill('-');
      await ann.page.getByText(/found$/).waitFor();
      await look(ann, 'people');
      await ann.open(bob.name);
      for (const text of ['Hello, Ben!', 'I have kept a seat for you, by the window where the sun comes in.'])
        await ann.say(text);
      await bob.chat(ann.name).click();
      await bob.message('a seat').getByRole('button', { name: 'Reply' }).click();
      await bob.say('How kind of you. I shall be a little late: save me some cake?');
      await ann.message('cake').waitFor();
      await ann.say('There are\nthree kinds of it.');
      await ann.sees('three kinds', 'read');
      // It is shown for 6 s.
      await Promise.all([
        ann.page.getByText('typing…', { exact: true }).waitFor(),
        bob.composer.pressSequentially('Chocolate, pl'),
      ]);
      await look(ann, 'room');
      await bob.message('three kinds').getByRole('button', { name: 'Reply' }).click();
      await look(bob, 'reply');
      await bob.composer.fill('a'.repeat(8200));
      await bob.page.getByText('8 characters too long').waitFor();
      await look(bob, 'too-long');
      const other = await bob.page.context().newPage();
      await other.goto(`${world.server.url}/#room=nonsense`);
      await other.getByText('This chat is not available').waitFor();
      await screenshot(other, `chat-unavailable-${name}`);
      expect(await axe(other), 'unavailable').to.deep.equal([]);
      await other.close();
      await ann.composer.press('Escape');
      await ann.page.emulateMedia({ reducedMotion: 'reduce' });
      if (await ann.page.getByRole('button', { name: 'Back to chats' }).isVisible())
        await ann.page.getByRole('button', { name: 'Back to chats' }).click();
      await look(ann, 'chats');
      await ann.page.getByRole('button', { name: 'Account and settings' }).click();
      await look(ann, 'account');
      await ann.page.getByRole('button', { name: 'Delete my account' }).click();
      await look(ann, 'delete');
      await world.server.kill();
      await bob.banner.getByText('No connection').waitFor();
      await look(bob, 'offline');
      await world.server.start();
      for (const person of [ann, bob]) {
        expect(person.strangers).to.deep.equal([]);
        await person.close();
      }
      await stranger.context().close();
    });

  it('works with the keyboard alone: sign up, search, write, reach the messages', async () => {
    const bob = await Person.at(world.browser, world.server.url);
    const page = await (await world.browser.newContext()).newPage();
    await page.goto(world.server.url);
    const { keyboard } = page;
    await tabTo(page, 'username');
    await keyboard.type(`keys-of-${bob.name}`);
    await tabTo(page, 'password');
    await keyboard.type(Person.password);
    await keyboard.press('Enter');
    await page.getByRole('searchbox').focus();
    await keyboard.type(bob.name);
    await page.getByRole('button', { name: `${bob.name}: open chat` }).waitFor();
    await tabTo(page, `${bob.name}: open chat`);
    await keyboard.press('Enter');
    await tabTo(page, `Message to ${bob.name}`);
    await keyboard.type('no mouse here');
    await keyboard.press('Enter');
    await page.getByRole('article').filter({ hasText: 'no mouse here' }).waitFor();
    await keyboard.press('Shift+Tab');
    await keyboard.press('Shift+Tab');
    await page.locator('article:focus', { hasText: 'no mouse here' }).waitFor();
    await page.context().close();
    await bob.close();
  });
});
