import { allKinds, hasEngine, type Running, startFresh } from '../support/engines.js';
import type { Place } from '../support/people.js';
import {
  bodies,
  changesMissed,
  chatSettings,
  deletions,
  edits,
  reactionsAndPins,
} from './contract/changedMessages.js';
import { activeChats, chats } from './contract/chats.js';
import { cursors } from './contract/cursors.js';
import { frames } from './contract/frames.js';
import { friends } from './contract/friends.js';
import { groups } from './contract/groups.js';
import { joined } from './contract/joined.js';
import { history, messages } from './contract/messages.js';
import { presence } from './contract/presence.js';
import { readMarks } from './contract/readMarks.js';
import { revisions } from './contract/revisions.js';
import { signingIn, silence } from './contract/signingIn.js';
import { typing } from './contract/typing.js';

const GRACE_MS = 300;
const env = { RATE_LIMIT: 'off', PRESENCE_GRACE: `${GRACE_MS}ms` };

for (const engine of allKinds) {
  describe(`the WebSocket contract (${engine})`, () => {
    let server: Running;
    // The suites are made before the server is there.
    const place: Place = {
      get url() {
        return server.url;
      },
      get wsUrl() {
        return server.wsUrl;
      },
    };
    const silent = silence(place);
    before(async function () {
      if (!(await hasEngine(engine))) this.skip();
      server = await startFresh(engine, { env });
      await silent.begin();
    });
    after(() => server?.stop());

    describe('frames', () => frames(place));
    describe('signing in', () => signingIn(place));
    describe('friends', () => friends(place));
    describe('chats', () => chats(place));
    describe('the list of chats', () => activeChats(place));
    describe('messages', () => messages(place));
    describe('the history', () => history(place));
    describe('bodies of messages', () => bodies(place));
    describe('edits', () => edits(place));
    describe('deletions', () => deletions(place));
    describe('reactions and pins', () => reactionsAndPins(place));
    describe('changes that were missed', () => changesMissed(place, async () => {}));
    describe('settings of a chat', () => chatSettings(place));
    describe('read marks', () => readMarks(place));
    describe('joined', () => joined(place));
    describe('groups', () => groups(place));
    describe('typing', () => typing(place));
    describe('presence', () => presence(place, GRACE_MS));
    describe('revisions', () => revisions(place));
    describe('a short absence', () => cursors(place, async () => {}));
    describe('not signing in', () => silent.end());
  });
}
