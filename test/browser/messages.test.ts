import { expect } from 'chai';
import { axe, openWorld, screenshot } from '../support/browser.js';
import { leadTo, Person } from './person.js';

/** Begins an edit and selects its text as soon as it is there: what is still selected two frames later. */
const SELECTED_AT_ONCE = `(async () => {
  const field = document.querySelector('textarea');
  field.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowUp', bubbles: true, cancelable: true }));
  while (field.value === '') await new Promise((resolve) => setTimeout(resolve));
  field.select();
  for (let frame = 0; frame < 2; frame++) await new Promise((resolve) => requestAnimationFrame(resolve));
  await new Promise((resolve) => setTimeout(resolve));
  return field.value.slice(field.selectionStart, field.selectionEnd);
})()`;

describe('Messages in the web chat', function () {
  this.timeout(120_000);
  const world = openWorld({ RATE_LIMIT: 'off' });
  let [ann, bob]: Person[] = [];
  const both = (): readonly [Person, Person] => {
    if (!ann || !bob) throw new Error('nobody is there');
    return [ann, bob];
  };
  beforeEach(async () => {
    const { browser, server } = world;
    const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
    [ann, bob] = await Promise.all([Person.at(browser, server.url), Person.at(browser, server.url, phone)]);
    await ann.open(bob.name);
    await ann.say('Shall we meet at six?');
    await ann.sees('at six', 'sent');
    await bob.chat(ann.name).click();
    await bob.sees('at six');
  });
  afterEach(async () => {
    for (const person of both()) {
      expect(person.strangers).to.deep.equal([]);
      await person.close();
    }
  });

  it('lead only to http and https, in a window of their own that knows nothing of this one', async () => {
    const [writer, reader] = both();
    await writer.say(
      'See https://example.com/a_(b)?q=1#c, (www.example.org). Not javascript:alert(1), ftp://example.net or x@https://example.com',
    );
    const links = reader.message('See https').getByRole('link');
    await links.first().waitFor();
    const found = await links.evaluateAll((all) =>
      all.map((one) => ['href', 'rel', 'target'].map((name) => one.getAttribute(name))),
    );
    const rest = ['noopener noreferrer', '_blank'];
    expect(found).to.deep.equal([
      ['https://example.com/a_(b)?q=1#c', ...rest],
      ['https://www.example.org/', ...rest],
    ]);
  });

  it('are edited in place by their writer, and show their earlier texts to both', async () => {
    const [writer, reader] = both();
    await writer.composer.press('ArrowUp');
    expect(await writer.composer.inputValue()).to.equal('Shall we meet at six?');
    await writer.composer.press('Escape');
    expect(await writer.composer.inputValue()).to.equal('');
    expect(await writer.page.evaluate<string>(SELECTED_AT_ONCE)).to.equal('Shall we meet at six?');
    await writer.say('Shall we meet at seven?');
    await reader.sees('at seven');
    expect(await reader.message('meet').count(), 'one message').to.equal(1);
    await reader.message('at seven').getByRole('button', { name: 'edited' }).tap();
    const texts = reader.page.getByRole('dialog', { name: 'Earlier versions' }).locator('.text');
    await texts.first().waitFor();
    expect(await texts.allInnerTexts()).to.deep.equal(['Shall we meet at six?', 'Shall we meet at seven?']);
  });

  it('are deleted for both after a question, and leave a line in their place', async () => {
    const [writer, reader] = both();
    await writer.choose('at six', 'Delete');
    const question = writer.page.getByRole('dialog', { name: 'Delete this message?' });
    await question.getByRole('button', { name: 'Cancel' }).click();
    await writer.sees('at six');
    await writer.choose('at six', 'Delete');
    await question.getByRole('button', { name: 'Delete for everyone' }).click();
    await writer.sees('You deleted this message');
    await reader.sees('Message deleted');
    expect(await reader.page.getByText('at six').count()).to.equal(0);
    const gone = reader.message('Message deleted');
    expect(await gone.getByRole('button').count(), 'nothing can be done with it').to.equal(0);
  });

  it('take reactions, say who reacted, and give them back', async () => {
    const [writer, reader] = both();
    await reader.choose('at six', 'React with ❤️');
    const reaction = writer.message('at six').getByRole('button', { name: `❤️ 1: ${reader.name}` });
    await reaction.click();
    const mine = reader.message('at six').getByRole('button', { name: `❤️ 2: You, ${writer.name}` });
    await mine.waitFor();
    expect(await mine.getAttribute('aria-pressed')).to.equal('true');
    await mine.tap();
    await writer.message('at six').getByRole('button', { name: '❤️ 1: You', exact: true }).waitFor();
    await writer.choose('at six', 'More emoji');
    await writer.page.getByRole('searchbox', { name: 'Find an emoji' }).fill('rocket');
    await writer.page.getByRole('button', { name: 'rocket', exact: true }).click();
    await reader
      .message('at six')
      .getByRole('button', { name: `🚀 1: ${writer.name}` })
      .waitFor();
  });

  it('are pinned for both, and are found from the bar', async () => {
    const [writer, reader] = both();
    await writer.choose('at six', 'Pin');
    const bar = reader.page.getByRole('region', { name: 'Pinned messages' });
    await leadTo(reader.page, 'at six', () => bar.getByText('at six').tap());
    await reader.choose('at six', 'Unpin');
    for (const { page } of both())
      await page.getByRole('region', { name: 'Pinned messages' }).waitFor({ state: 'detached' });
  });

  it('are copied, and can be reported by the other', async () => {
    const [writer, reader] = both();
    await writer.page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await writer.choose('at six', 'Copy text');
    await writer.page.getByText('Text copied.').waitFor();
    expect(await writer.page.evaluate<string>('navigator.clipboard.readText()')).to.equal(
      'Shall we meet at six?',
    );
    await reader.choose('at six', 'Report');
    const report = reader.page.getByRole('dialog', { name: `Report a message from ${writer.name}` });
    await report.getByText('Spam').waitFor();
    expect(await report.getByRole('blockquote').textContent()).to.equal('Shall we meet at six?');
    const options = await writer.openOptions('at six');
    expect(await options.getByRole('button', { name: 'Report' }).count(), 'one’s own').to.equal(0);
    await writer.page.keyboard.press('Escape');
  });

  it('are completed with emoji by name, and emoji are picked into them at the cursor', async () => {
    const [writer] = both();
    // The picker is loaded when it is first opened.
    await writer.page.reload();
    await writer.composer.pressSequentially('Good :thumbsu');
    const options = writer.page.getByRole('listbox').getByRole('option');
    await options.filter({ hasText: '👍' }).waitFor();
    expect(await writer.composer.getAttribute('aria-activedescendant')).to.equal(
      await options.first().getAttribute('id'),
    );
    await writer.composer.press('Enter');
    expect(await writer.composer.inputValue()).to.equal('Good 👍 ');
    await writer.composer.press('Home');
    await writer.page.getByRole('button', { name: 'Emoji', exact: true }).click();
    await writer.page.locator('input[type=search]:focus').waitFor();
    await writer.page.getByRole('button', { name: 'grinning face', exact: true }).first().click();
    await writer.page.keyboard.press('Escape');
    expect(await writer.composer.inputValue()).to.equal('😀Good 👍 ');
    await writer.composer.press('Enter');
    await writer.sees('😀Good 👍');
  });

  it('that are drafts wait in their room over a reload, until they are sent or the user signs out', async () => {
    const [writer, reader] = both();
    await writer.composer.fill('half of a thou');
    await writer.page.reload();
    await writer.composer.waitFor();
    expect(await writer.composer.inputValue()).to.equal('half of a thou');
    await writer.say('half of a thought');
    await reader.sees('half of a thought');
    await writer.page.reload();
    await writer.composer.waitFor();
    expect(await writer.composer.inputValue()).to.equal('');
    await writer.composer.fill('a secret draft');
    await writer.page.getByRole('button', { name: 'Account and settings' }).click();
    await writer.page.getByRole('button', { name: 'Sign out' }).click();
    await writer.page.getByRole('button', { name: 'Sign out anyway' }).click();
    await writer.page.getByLabel('User name').waitFor();
    expect(await writer.page.evaluate<string>('JSON.stringify(localStorage)')).not.to.include('secret');
  });

  it('have no axe violation with their menu, their emoji and their dialogs', async () => {
    const [writer, reader] = both();
    await writer.composer.press('ArrowUp');
    await writer.say('Shall we meet at seven? https://example.com');
    await reader.choose('at seven', 'React with 👍');
    for (const person of both()) {
      const look = async (view: string): Promise<void> => {
        await screenshot(person.page, `messages-${view}-${person === writer ? 'desktop' : 'phone'}`);
        expect(await axe(person.page), view).to.deep.equal([]);
      };
      await person.message('at seven').getByRole('button', { name: '👍' }).waitFor();
      await look('reacted');
      const options = await person.openOptions('at seven');
      await look('menu');
      await options.getByRole('button', { name: 'More emoji' }).click();
      await person.page.getByRole('button', { name: 'grinning face', exact: true }).first().waitFor();
      await look('emoji');
      await person.page.keyboard.press('Escape');
    }
    await writer.choose('at seven', 'Delete');
    await writer.page.getByRole('dialog', { name: 'Delete this message?' }).waitFor();
    expect(await axe(writer.page), 'delete').to.deep.equal([]);
  });
});
