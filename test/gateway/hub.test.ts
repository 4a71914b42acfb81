import { expect } from 'chai';
import { PresenceWatchers } from '../../src/gateway/contactIndex.js';
import { Hub } from '../../src/gateway/openConnections.js';
import { FakeHost, turn } from './fakeClient.js';

/** A hub; each load of contacts waits until the test settles it. */
function setUp() {
  const host = new FakeHost();
  const loads: { user: string; resolve(contacts: string[]): void; reject(error: Error): void }[] = [];
  const hosted: string[] = [];
  const watchers = new PresenceWatchers(
    (user) => new Promise((resolve, reject) => loads.push({ user, resolve, reject })),
  );
  const hub = new Hub(watchers, {
    enter: (user) => void hosted.push(`enter ${user}`),
    leave: (user) => hosted.push(`leave ${user}`),
  });
  const load = (i: number) => loads[i] ?? expect.fail(`there was no load ${i}`);
  const connect = () => host.connect().connection;
  /** The user enters with these contacts, known at once. */
  const enter = async (user: string, contacts: string[], connection = connect()) => {
    const entered = hub.enter(user, connection);
    load(loads.length - 1).resolve(contacts);
    await entered;
    return connection;
  };
  return { hub, watchers, loads, load, hosted, connect, enter };
}

describe('the connections of users', () => {
  it('loads the contacts of a user once, however many connections come', async () => {
    const { hub, watchers, loads, load, connect } = setUp();
    const [one, two] = [connect(), connect()];
    let entered = 0;
    for (const connection of [one, two]) void hub.enter('ann', connection).then(() => entered++);
    await turn();
    expect([loads.length, entered]).deep.equal([1, 0]);
    load(0).resolve(['bob']);
    await turn();
    expect(entered).equal(2);
    expect(hub.connectionsOf('ann')).deep.equal([one, two]);
    expect([...watchers.watchersOf('bob')]).deep.equal(['ann']);
    await hub.enter('ann', connect());
    expect(loads).to.have.length(1);
  });

  it('adds nobody while the contacts cannot be loaded, and loads them again', async () => {
    const { hub, loads, load, hosted, connect, enter } = setUp();
    const both = [connect(), connect()].map((connection) =>
      hub.enter('ann', connection).catch(() => 'refused'),
    );
    load(0).reject(new Error('the store is away'));
    expect(await Promise.all(both)).deep.equal(['refused', 'refused']);
    expect(hub.connectionsOf('ann')).deep.equal([]);
    expect(hosted).deep.equal(['enter ann', 'leave ann']);
    await enter('ann', ['bob']);
    expect(loads).to.have.length(2);
    expect(hub.watchers.isContact('ann', 'bob')).equal(true);
  });

  it('keeps pushes for a user from before the contacts are read until the last connection has gone', async () => {
    const { hub, hosted, connect, enter } = setUp();
    const one = connect();
    const entered = enter('ann', [], one);
    expect(hosted).deep.equal(['enter ann']);
    await entered;
    const two = connect();
    await hub.enter('ann', two);
    hub.leave('ann', one);
    hub.leave('ann', one);
    expect(hosted).deep.equal(['enter ann']);
    expect(hub.connectionsOf('ann')).deep.equal([two]);
    hub.leave('ann', two);
    hub.leave('ann', two);
    expect(hosted).deep.equal(['enter ann', 'leave ann']);
  });
});

describe('who is told of whose presence', () => {
  it('is the connected contacts, and nobody once they have gone', async () => {
    const { hub, watchers, enter } = setUp();
    const ann = await enter('ann', ['cem', 'dan']);
    await enter('bob', ['cem']);
    expect([...watchers.watchersOf('cem')]).deep.equal(['ann', 'bob']);
    expect([watchers.isContact('ann', 'cem'), watchers.isContact('cem', 'ann')]).deep.equal([true, false]);
    hub.leave('ann', ann);
    expect([...watchers.watchersOf('cem')]).deep.equal(['bob']);
    expect([watchers.isWatched('dan'), watchers.isWatched('cem')]).deep.equal([false, true]);
    expect(watchers.isContact('ann', 'cem')).equal(false);
  });

  it('grows when two become contacts, for those of them who are connected', async () => {
    const { watchers, enter } = setUp();
    await enter('ann', []);
    watchers.acquaint('ann', 'bob');
    expect([...watchers.watchersOf('bob')]).deep.equal(['ann']);
    expect(watchers.isWatched('ann'), 'bob is not connected').equal(false);
  });

  it('has those who became contacts while the others were being loaded', async () => {
    const { hub, watchers, load, connect } = setUp();
    const entered = hub.enter('ann', connect());
    watchers.acquaint('bob', 'ann');
    load(0).resolve(['cem']);
    await entered;
    expect(['bob', 'cem'].map((other) => watchers.isContact('ann', other))).deep.equal([true, true]);
  });

  it('has nobody who left while their contacts were being loaded', async () => {
    const { hub, watchers, load, connect } = setUp();
    const connection = connect();
    const entered = hub.enter('ann', connection);
    hub.leave('ann', connection);
    load(0).resolve(['bob']);
    await entered;
    expect([watchers.isWatched('bob'), watchers.isContact('ann', 'bob')]).deep.equal([false, false]);
  });
});
