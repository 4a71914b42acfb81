import { expect } from 'chai';
import { type ServerProcess, startServer } from '../support/server.js';
import { allBlocks } from './blocks.js';
import { paste } from './paste.js';

describe('The commands of docs/questions.md', function () {
  this.timeout(120_000);
  let server: ServerProcess;
  const blocks = allBlocks().filter(({ file, info }) => file === 'docs/questions.md' && info === 'sh');
  /** What each block printed, by its number. */
  let said: readonly string[] = [];

  before('paste all commands', async () => {
    server = await startServer({ engine: 'sqlite' });
    const script = blocks.map(({ code }) => `echo '### next'\n${code}`).join('');
    said = (await paste(script, server)).split(/^### next\n/m).slice(1);
  });
  after(() => server?.stop());

  /** Returns what the block with this command printed. */
  function printedBy(command: string): string {
    const found = blocks.flatMap(({ code }, index) => (code.includes(command) ? [said[index] ?? ''] : []));
    expect(found, command).to.have.length(1);
    return found[0] ?? '';
  }

  it('make users, and find the log and the server well', () => {
    expect(printedBy('ask /user/ -d')).to.match(/"username":"ann".*\n.*"username":"bob"/);
    expect(said[1]).to.match(/verified: nothing is wrong\n$/);
    expect(printedBy('/ready')).to.equal('{"status":"ready"}\n');
  });

  it('make an admin, set a new password, and suspend a user for a while', () => {
    expect(printedBy('parley role admin')).to.equal('ann is an admin now\n');
    expect(printedBy('/user/password-reset')).to.equal('\n');
    expect(printedBy('parley user suspend')).to.equal('bob is suspended now\nbob is no longer suspended\n');
  });

  it('back up and restore', () => {
    expect(printedBy('parley backup backups/monday'))
      .to.include('events until')
      .and.to.include('lists what was erased');
    expect(printedBy('parley restore'))
      .to.include('are put back into')
      .and.to.match(/nothing is wrong\n$/);
  });

  it('send a message as a bot, and hear of it', () => {
    expect(printedBy('parley key add')).to.include('"message":"Your order has left."');
    const { events } = JSON.parse(printedBy('/events?from=start'));
    expect(events).to.have.length(1);
    expect(events[0]).to.deep.include({ type: 'MessageSent' });
  });
});
