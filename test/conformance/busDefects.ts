import type { Bus, CommitFrame, Note } from '../../src/cluster/bus.js';

interface Defect {
  /** The promise, as named in the suite, that must be seen to be broken. */
  readonly breaks: string;
  readonly on: (bus: Bus) => Partial<Bus>;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

const frames = (bus: Bus, change: (frame: CommitFrame) => CommitFrame[]): Partial<Bus> => ({
  subscribe: (handler) =>
    bus.subscribe((frame) => {
      for (const each of change(frame)) handler(each);
    }),
});

const asWas = 'gives a commit to every node once, as it was';
const silent = 'says silent, never nobody, of what was handed over and not answered';
const inOrder = 'hands requests to another node over in the order of the calls, and each reply to its own';
const ownOnce = 'tells every other node once who tells what, and not the one that does';

/** Buses broken on purpose, by what is wrong with them. */
export const defects: Readonly<Record<string, Defect>> = {
  'that loses the order of requests': {
    breaks: inOrder,
    on: (bus) => {
      let asked = 0;
      return {
        request: async (...args) => {
          if (++asked % 7 === 0) await pause(1);
          return bus.request(...args);
        },
      };
    },
  },
  'that gives replies to other requests': {
    breaks: inOrder,
    on: (bus) => {
      let last: unknown = {};
      return {
        request: async (...args) => {
          const answer = await bus.request(...args);
          const stale = last;
          if (typeof answer === 'object') last = answer.reply;
          return typeof answer === 'object' ? { reply: stale } : answer;
        },
      };
    },
  },
  'that says nobody of what was delivered': {
    breaks: silent,
    on: (bus) => ({
      request: async (...args) => {
        const answer = await bus.request(...args);
        return answer === 'unanswered' ? 'undelivered' : answer;
      },
    }),
  },
  'that says silent of nodes that have gone': {
    breaks: 'says nobody of a node that has gone',
    on: (bus) => ({
      request: async (...args) => {
        const answer = await bus.request(...args);
        return answer === 'undelivered' ? 'unanswered' : answer;
      },
    }),
  },
  'that asks nobody': { breaks: 'says who asks', on: () => ({ request: async () => 'undelivered' }) },
  'that tells the sender its own notes': {
    breaks: ownOnce,
    on: (bus) => {
      const handlers = new Set<(note: Note, from: string) => void>();
      return {
        onNote(handler) {
          handlers.add(handler);
          return bus.onNote(handler);
        },
        broadcast(note) {
          bus.broadcast(note);
          for (const handler of handlers) handler(note, bus.node);
        },
      };
    },
  },
  'that tells twice': {
    breaks: ownOnce,
    on: (bus) => ({
      broadcast(note) {
        bus.broadcast(note);
        bus.broadcast(note);
      },
    }),
  },
  'that tells nobody': { breaks: 'carries every kind of note as it is', on: () => ({ broadcast() {} }) },
  'that does not say who tells': {
    breaks: ownOnce,
    on: (bus) => ({ onNote: (handler) => bus.onNote((note) => handler(note, bus.node)) }),
  },
  'that gives commits to no other node': {
    breaks: 'has what it was given before it closes arrive',
    on: () => {
      const own = new Set<(frame: CommitFrame) => void>();
      return {
        publish(frame) {
          for (const handler of own) handler(frame);
        },
        subscribe(handler) {
          own.add(handler);
          return () => own.delete(handler);
        },
      };
    },
  },
  'that gives commits twice': { breaks: asWas, on: (bus) => frames(bus, (frame) => [frame, frame]) },
  'that alters leaves': {
    breaks: asWas,
    on: (bus) => frames(bus, (f) => [{ ...f, leaves: f.leaves.map((leaf) => leaf.normalize('NFC')) }]),
  },
  'that forgets whom a commit concerns': {
    breaks: asWas,
    on: (bus) => frames(bus, (frame) => [{ ...frame, concerns: [] }]),
  },
  'that loses the order of commits': {
    breaks: 'gives the commits of a node in their order',
    on: (bus) => {
      const held: CommitFrame[] = [];
      return frames(bus, (frame) => (held.push(frame) === 2 ? held.splice(0).reverse() : []));
    },
  },
  'that hands its own node a commit later': {
    breaks: 'hands a commit to its own node at once, in the order of subscription',
    on: (bus) => ({ publish: (frame) => void setImmediate(() => bus.publish(frame)) }),
  },
  'that keeps subscriptions that have ended': {
    breaks: 'hands nothing to a subscription that has ended',
    on: (bus) => ({
      subscribe(handler) {
        bus.subscribe(handler);
        return () => {};
      },
    }),
  },
  'that goes on when it is closed': {
    breaks: 'hands over nothing once it is closed',
    on: () => ({ close: async () => {} }),
  },
};

/** The bus with the defect. */
export function broken(bus: Bus, { on }: Defect): Bus {
  const whole: Bus = {
    node: bus.node,
    publish: (frame) => bus.publish(frame),
    subscribe: (handler) => bus.subscribe(handler),
    broadcast: (note) => bus.broadcast(note),
    onNote: (handler) => bus.onNote(handler),
    request: (...args) => bus.request(...args),
    serve: (handler) => bus.serve(handler),
    get isConnected() {
      return bus.isConnected;
    },
    onConnectionChange: (handler) => bus.onConnectionChange(handler),
    close: () => bus.close(),
  };
  return Object.assign(whole, on(bus));
}
