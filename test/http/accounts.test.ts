import { expect } from 'chai';
import { overloaded, VaultUnavailable } from '../../src/base/errors.js';
import type { Vault } from '../../src/vault/vault.js';
import { ask, type FakeParts, type FakeTarget, type Reply, startHttp } from '../support/http.js';

const json = { username: 'Somebody', password: 'a mild autumn evening' };

/** Does `call` in front of a method, until it says no more. */
function inFrontOf<T extends object, K extends keyof T>(object: T, method: K, call: () => unknown): void {
  const original = object[method];
  if (typeof original !== 'function') throw new Error(`${String(method)} is no method`);
  const wrapped = async (...args: unknown[]): Promise<unknown> => {
    await call();
    return original.apply(object, args);
  };
  Object.assign(object, { [method]: wrapped });
}

describe('accounts when a step fails', () => {
  let target: FakeTarget;
  const start = async (replace?: (parts: FakeParts) => Partial<FakeParts>): Promise<void> => {
    target = await startHttp(replace);
  };
  afterEach(() => target.close());
  const signUp = (): Promise<Reply> => ask(target.url, 'POST /user/', { json });
  const signIn = (): Promise<Reply> => ask(target.url, 'POST /user/signin', { json });

  type Step = readonly [string, (parts: FakeParts, call: () => unknown) => void];
  const steps: readonly Step[] = [
    ['making the key', ({ vault }, call) => inFrontOf(vault.keys, 'create', call)],
    ['registering', ({ commands }, call) => inFrontOf(commands, 'execute', call)],
    ['noting that', ({ vault }, call) => inFrontOf(vault.credentials, 'markRegistered', call)],
    ['reading the user', ({ queries }, call) => inFrontOf(queries, 'users', call)],
  ];
  for (const [step, fail] of steps)
    it(`leaves a name that its owner can sign in with, interrupted before ${step}`, async () => {
      let isCut = true;
      await start((parts) => {
        fail(parts, () => {
          if (isCut) throw new Error('cut off');
        });
        return {};
      });
      expect((await signUp()).status).to.equal(500);
      isCut = false;
      expect((await signUp()).body.code).to.equal('conflict');
      const wrong = { ...json, password: 'not the right one' };
      expect((await ask(target.url, 'POST /user/signin', { json: wrong })).status).to.equal(401);
      const { status, body } = await signIn();
      expect(status).to.equal(200);
      expect(body.user.username).to.equal(json.username);
      const credential = await target.vault.credentials.find('somebody');
      expect(credential).to.include({ registered: true, userId: body.user.userId });
    });

  it('says `unknown`, not `overloaded`, once the name is claimed', async () => {
    await start((parts) => {
      inFrontOf(parts.commands, 'execute', () => {
        throw overloaded('the queue is full', 1500);
      });
      return {};
    });
    const { status, body, headers } = await signUp();
    expect([status, body.code, body.retryAfterMs]).to.deep.equal([504, 'unknown', 1500]);
    expect(headers.get('retry-after')).to.equal('2');
  });

  it('hashes for an unknown name too, so that it takes the same time', async () => {
    await start();
    await signIn();
    expect(target.passwords.compared).to.deep.equal([undefined]);
  });

  const hashOf = async (): Promise<string> => {
    const found = await target.vault.credentials.find('somebody');
    return found === undefined || found === 'erased' ? '' : (found.passwordHash ?? '');
  };

  it('renews a hash of an earlier cost at the next right sign-in, once', async () => {
    await start();
    await signUp();
    const { token } = (await signIn()).body;
    const first = await hashOf();
    target.passwords.cost = 6;
    const wrong = { ...json, password: 'not the right one' };
    expect((await ask(target.url, 'POST /user/signin', { json: wrong })).status).to.equal(401);
    expect(await hashOf()).to.equal(first);
    expect((await signIn()).status).to.equal(200);
    const renewed = await hashOf();
    expect(renewed).to.match(/ cost 6$/);
    expect((await signIn()).status).to.equal(200);
    expect(await hashOf(), 'it is not outdated any more').to.equal(renewed);
    expect((await ask(target.url, 'GET /user/search?q=x', { token })).status, 'its session').to.equal(200);
  });

  it('signs in with the old hash while it cannot be renewed', async () => {
    for (const error of [new VaultUnavailable('no answer'), overloaded('too many wait')]) {
      await target?.close();
      await start((parts) => {
        inFrontOf(parts.vault.credentials, 'changePassword', () => {
          throw error;
        });
        return {};
      });
      await signUp();
      target.passwords.cost = 6;
      expect((await signIn()).status).to.equal(200);
      expect(await hashOf()).to.match(/ cost 4$/);
    }
  });

  it('keeps a sign-in during which another one, of another node, renewed the hash', async () => {
    let between: () => Promise<unknown> = async () => {};
    await start((parts) => {
      inFrontOf(parts.vault.sessions, 'create', () => between());
      return {};
    });
    await signUp();
    between = async () => {
      between = async () => {};
      target.passwords.cost = 6;
      expect((await signIn()).status).to.equal(200);
    };
    const { status, body } = await signIn();
    expect(status).to.equal(200);
    expect(await hashOf()).to.match(/ cost 6$/);
    expect((await ask(target.url, 'GET /user/search?q=x', { token: body.token })).status).to.equal(200);
  });

  it('changes a password whose hash a sign-in renews meanwhile', async () => {
    let between: () => Promise<unknown> = async () => {};
    await start((parts) => {
      inFrontOf(parts.vault.sessions, 'revokeAll', () => between());
      return {};
    });
    await signUp();
    const { token } = (await signIn()).body;
    between = async () => {
      between = async () => {};
      target.passwords.cost = 6;
      expect((await signIn()).status).to.equal(200);
    };
    const change = { password: json.password, newPassword: 'a cold winter morning' };
    expect((await ask(target.url, 'PUT /user/password', { token, json: change })).status).to.equal(204);
    expect((await signIn()).status).to.equal(401);
    const changed = { ...json, password: change.newPassword };
    expect((await ask(target.url, 'POST /user/signin', { json: changed })).status).to.equal(200);
  });

  it('refuses a sign-in that was under way when the password changed', async () => {
    let between: () => Promise<unknown> = async () => {};
    await start((parts) => {
      inFrontOf(parts.vault.sessions, 'create', () => between());
      return {};
    });
    await signUp();
    const { token } = (await signIn()).body;
    const change = { password: json.password, newPassword: 'a cold winter morning' };
    between = async () => {
      between = async () => {};
      const reply = await ask(target.url, 'PUT /user/password', { token, json: change });
      expect(reply.status).to.equal(204);
    };
    expect((await signIn()).status).to.equal(401);
    const { userId } = (await target.vault.sessions.find(token, new Date())) ?? {};
    const open = (await target.vault.sessions.list(userId ?? '')).filter(({ endedAt }) => !endedAt);
    expect(open).to.have.lengthOf(1);
  });

  it('leaves no session of the old password, interrupted after its change', async () => {
    let isChanged = false;
    await start((parts) => {
      inFrontOf(parts.vault.credentials, 'changePassword', () => {
        isChanged = true;
      });
      inFrontOf(parts.vault.sessions, 'revokeAll', () => {
        if (isChanged) throw new Error('cut off');
      });
      return {};
    });
    await signUp();
    const [mine, other] = [(await signIn()).body.token, (await signIn()).body.token];
    const change = { password: json.password, newPassword: 'a cold winter morning' };
    expect((await ask(target.url, 'PUT /user/password', { token: mine, json: change })).status).to.equal(500);
    expect((await signIn()).status).to.equal(401);
    expect((await ask(target.url, 'GET /user/search?q=x', { token: other })).status).to.equal(401);
  });

  it('ends a session that began while the password was being changed', async () => {
    let other = '';
    await start((parts) => {
      inFrontOf(parts.vault.credentials, 'changePassword', async () => {
        other = (await signIn()).body.token;
      });
      return {};
    });
    await signUp();
    const { token } = (await signIn()).body;
    const change = { password: json.password, newPassword: 'a cold winter morning' };
    expect((await ask(target.url, 'PUT /user/password', { token, json: change })).status).to.equal(204);
    expect(other).to.not.equal('');
    expect((await ask(target.url, 'GET /user/search?q=x', { token: other })).status).to.equal(401);
  });

  it('makes only one of two simultaneous password changes', async () => {
    await start();
    await signUp();
    const tokens = [(await signIn()).body.token, (await signIn()).body.token];
    const change = { password: json.password, newPassword: 'a cold winter morning' };
    const replies = await Promise.all(
      tokens.map((token) => ask(target.url, 'PUT /user/password', { token, json: change })),
    );
    expect(replies.map(({ status }) => status).sort()).to.satisfy(
      ([first, second]: number[]) => first === 204 && (second === 403 || second === 401),
    );
  });

  it('refuses a sign-in with an erased name, and does not give it again', async () => {
    await start();
    await signUp();
    await target.vault.credentials.erase('somebody');
    expect((await signIn()).status).to.equal(401);
    expect(target.passwords.compared).to.deep.equal([undefined]);
    expect((await signUp()).status).to.equal(409);
  });

  it('answers an outage of the vault with `overloaded` for a read, `unknown` for a write', async () => {
    const down = () => {
      throw new VaultUnavailable('no answer');
    };
    await start((parts) => {
      const vault: Vault = parts.vault;
      inFrontOf(vault.sessions, 'find', down);
      inFrontOf(vault.credentials, 'find', down);
      return {};
    });
    const read = await ask(target.url, 'GET /user/search?q=x', { token: 'any' });
    expect([read.status, read.body.code]).to.deep.equal([503, 'overloaded']);
    const write = await signUp();
    expect([write.status, write.body.code]).to.deep.equal([504, 'unknown']);
    expect(Number(write.headers.get('retry-after'))).to.be.at.least(1);
  });

  it('answers a defect with `internal` and an incident, under which the log has the cause', async () => {
    await start((parts) => {
      inFrontOf(parts.vault.credentials, 'find', () => {
        throw new Error('secret detail', { cause: new Error('the disk is on fire') });
      });
      return {};
    });
    const { status, body, text } = await signUp();
    expect([status, body.code]).to.deep.equal([500, 'internal']);
    expect(text).to.not.contain('secret');
    const entry = JSON.stringify(target.logged.find(({ incident }) => incident === body.incident));
    expect(entry).to.contain('secret detail').and.to.contain('the disk is on fire');
    expect(JSON.stringify(target.logged)).to.not.contain(json.password);
  });

  it('is ready with a warning of what an operator must see to', async () => {
    await start(() => ({ ready: async () => ({ ok: true, warnings: ['clock'] }) }));
    const { status, body } = await ask(target.url, 'GET /ready');
    expect([status, body]).to.deep.equal([200, { status: 'ready', warnings: ['clock'] }]);
  });

  it('names the part that is not ready', async () => {
    await start(() => ({ ready: async () => ({ ok: false, failing: 'read models' }) }));
    const { status, body, headers } = await ask(target.url, 'GET /ready');
    expect([status, body.failing, headers.get('retry-after')]).to.deep.equal([503, 'read models', '1']);
    expect((await ask(target.url, 'GET /health')).status).to.equal(200);
  });
});
