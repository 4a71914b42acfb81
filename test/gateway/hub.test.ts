import { expect } from 'chai';
import { UserLimits } from '../../src/base/rateLimits.js';
import { Hub } from '../../src/gateway/openConnections.js';
import { Relations } from '../../src/gateway/relations.js';
import { contactsOf } from '../support/facts.js';
import { FakeHost, turn } from './fakeClient.js';

/** A hub; each load of contacts waits until the test settles it. */
function setUp(limits?: UserLimits) {
  const host = new FakeHost();
  const loads: { user: string; resolve(contacts: string[]): void; reject(error: Error): void }[] = [];
  const hosted: string[] = [];
  const relations = new Relations('open', async (user) => {
    const contacts = await new Promise<string[]>((resolve, reject) => loads.push({ user, resolve, reject }));
    return contactsOf(user, contacts);
  });
  const hosting = {
    enter: (user: string) => void hosted.push(`enter ${user}`),
    leave: (user: string) => hosted.push(`leave ${user}`),
  };
  const hub = new Hub(relations, hosting, limits);
  const load = (i: number) => loads[i] ?? expect.fail(`there was no load ${i}`);
  const connect = () => host.connect().connection;
  /** The user enters with these contacts, known at once. */
  const enter = async (user: string, contacts: string[], connection = connect()) => {
    const entered = hub.enter(user, connection);
    load(loads.length - 1).resolve(contacts);
    await entered;
    return connection;
  };
  return { hub, relations, loads, load, hosted, connect, enter };
}

describe('the connections of users', () => {
  it('loads the contacts of a user once, however many connections come', async () => {
    const { hub, relations, loads, load, connect } = setUp();
    const [one, two] = [connect(), connect()];
    let entered = 0;
    for (const connection of [one, two]) void hub.enter('ann', connection).then(() => entered++);
    await turn();
    expect([loads.length, entered]).deep.equal([1, 0]);
    load(0).resolve(['bob']);
    await turn();
    expect(entered).equal(2);
    expect(hub.connectionsOf('ann')).deep.equal([one, two]);
    expect([...relations.watchersOf('bob')]).deep.equal(['ann']);
    await hub.enter('ann', connect());
    expect(loads).to.have.length(1);
  });

  it('counts the requests of a user together, before they connect, while they are and after', async () => {
    const { hub, enter } = setUp(new UserLimits({ rate: 1, burst: 3 }));
    const take = () => hub.bucketOf('ann')?.take(0);
    expect(take()).equal(0);
    const connection = await enter('ann', []);
    expect(take()).equal(0);
    hub.leave('ann', connection);
    expect([take(), take()]).deep.equal([0, 1000]);
    expect(hub.bucketOf('bob')?.take(0)).equal(0);
    expect(setUp().hub.bucketOf('ann'), 'without a limit').equal(undefined);
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
    expect(hub.relations.isShown('ann', 'bob')).equal(true);
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
    const { hub, relations, enter } = setUp();
    const ann = await enter('ann', ['cem', 'dan']);
    await enter('bob', ['cem']);
    expect([...relations.watchersOf('cem')]).deep.equal(['ann', 'bob']);
    expect([relations.isShown('ann', 'cem'), relations.isShown('cem', 'ann')]).deep.equal([true, false]);
    hub.leave('ann', ann);
    expect([...relations.watchersOf('cem')]).deep.equal(['bob']);
    expect([relations.isWatched('dan'), relations.isWatched('cem')]).deep.equal([false, true]);
    expect(relations.isShown('ann', 'cem')).equal(false);
  });

  it('grows when two become contacts, for those of them who are connected', async () => {
    const { relations, enter } = setUp();
    await enter('ann', []);
    relations.apply({ by: 'ann', other: 'bob', is: 'contact' });
    expect([...relations.watchersOf('bob')]).deep.equal(['ann']);
    expect(relations.isWatched('ann'), 'bob is not connected').equal(false);
  });

  it('has those who became contacts while the others were being loaded', async () => {
    const { hub, relations, load, connect } = setUp();
    const entered = hub.enter('ann', connect());
    relations.apply({ by: 'bob', other: 'ann', is: 'contact' });
    load(0).resolve(['cem']);
    await entered;
    expect(['bob', 'cem'].map((other) => relations.isShown('ann', other))).deep.equal([true, true]);
  });

  it('has nobody who left while their contacts were being loaded', async () => {
    const { hub, relations, load, connect } = setUp();
    const connection = connect();
    const entered = hub.enter('ann', connection);
    hub.leave('ann', connection);
    load(0).resolve(['bob']);
    await entered;
    expect([relations.isWatched('bob'), relations.isShown('ann', 'bob')]).deep.equal([false, false]);
  });
});
