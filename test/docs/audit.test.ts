import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { repository } from '../deploy/dockerfile.js';
import { type ServerProcess, startServer } from '../support/server.js';
import { paste } from './paste.js';

/** Returns the shell blocks of each third-level section by its heading. */
function walk(markdown: string): Map<string, string> {
  const sections = new Map<string, string>();
  for (const section of markdown.split(/^### /m).slice(1)) {
    const heading = section.slice(0, section.indexOf('\n'));
    const blocks = [...section.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, code]) => code);
    sections.set(heading, blocks.join(''));
  }
  return sections;
}

describe('The commands of docs/audit.md', function () {
  this.timeout(180_000);
  let server: ServerProcess;
  const said = new Map<string, string>();

  before('paste all commands', async () => {
    server = await startServer({ engine: 'sqlite' });
    const sections = walk(readFileSync(`${repository}/docs/audit.md`, 'utf8'));
    const script = [...sections].map(([heading, code]) => `echo '### ${heading}'\n${code}`).join('\n');
    const out = await paste(script, server);
    for (const section of out.split(/^### /m).slice(1)) {
      const end = section.indexOf('\n');
      said.set(section.slice(0, end), section.slice(end + 1));
    }
  });
  after(() => server?.stop());

  it('start a conversation', () => {
    expect(said.get('Two people talk')).to.include('"isNewActive":true').and.to.include('"seq":1');
  });

  it('list the events', () => {
    const events = said.get('List the events');
    expect(events).to.include('Hello, Bob').and.to.include('"type":"MessageSent"');
  });

  it('verify the log', () => {
    expect(said.get('Verify the log')).to.match(/verified: nothing is wrong\n$/);
  });

  it('appoint an auditor, and record what the auditor reads', () => {
    expect(said.get('Appoint an auditor')).to.equal('ann is an auditor now\n');
    const events = said.get('Read events as an auditor');
    expect(events).to.include('Hello, Bob').and.to.include('"type":"AuditRead"');
    expect(events).to.include('"resource":"events"');
  });

  it('show a room at a past time', () => {
    const [byCommand, overHttp, none] = (said.get('See a room at a past time') ?? '').split(/(?<=^\}\n)/m);
    const then = JSON.parse(byCommand ?? '');
    expect(then.messages[0].message).to.equal('Hello, Bob');
    expect(JSON.parse(overHttp ?? '')).to.deep.equal(then);
    expect(none).to.equal(undefined);
  });

  it('check a proof without trusting the server', () => {
    const proof = said.get('Check a proof without trusting the server');
    expect(proof).to.match(/^event \d+ of parley\/0 is proven: \[.*"MessageSent"/m);
  });

  it('export and verify the log', () => {
    expect(said.get('Export the log')).to.match(/verified: nothing is wrong\n$/);
  });

  it('erase a user, and the log still verifies', () => {
    const events = said.get('Erase a user');
    expect(events)
      .to.include('erased')
      .and.to.match(/verified: nothing is wrong\n$/);
    expect(events).not.to.match(/\bbob\b/);
  });
});
