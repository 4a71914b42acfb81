import { restContract } from '../http/contract.js';
import { hasEngine, type Kind, kindsWith, startFresh } from '../support/engines.js';
import { ask, type HttpTarget, type SignedIn } from '../support/http.js';
import { RawSocket } from '../support/rawSocket.js';

async function realServer(engine: Kind): Promise<HttpTarget> {
  const server = await startFresh(engine);
  const overSocket = async (me: SignedIn, event: 'add friend' | 'init chat', friendId: string) => {
    const socket = await RawSocket.open(server.wsUrl, me.token);
    const answer = await socket.request(event, { friendId });
    await socket.close();
    // What this query has seen, every later one sees.
    await ask(server.url, `GET /user/${me.userId}?revision=${answer.revision}`, { token: me.token });
    return answer;
  };
  return {
    get url() {
      return server.url;
    },
    async addFriend(me, friendId) {
      await overSocket(me, 'add friend', friendId);
    },
    async initChat(me, friendId) {
      const answer = await overSocket(me, 'init chat', friendId);
      return 'room' in answer ? answer.room.roomId : '';
    },
    async close() {
      await server.stop();
    },
  };
}

for (const engine of kindsWith('sqlite'))
  describe(`REST of the real server (${engine})`, () => {
    before(async function () {
      if (!(await hasEngine(engine))) this.skip();
    });
    restContract(() => realServer(engine));
  });
