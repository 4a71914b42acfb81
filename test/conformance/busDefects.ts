import { type Bus, type CommitFrame, type Note, receiversOf } from '../../src/cluster/bus.js';

interface Defect {
  /** The promise, as named in the suite, that the defect must break. */
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

const asWas = 'delivers a commit to every node once, unchanged';
const silent = 'reports unanswered, never undelivered, for a delivered request without a reply';
const inOrder = 'delivers requests in the order of the calls, and each reply to its own request';
const ownOnce = 'delivers a note with its sender to every other node once';

/** Buses broken on purpose, by their defect. */
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
  'that reports a delivered request as undelivered': {
    breaks: silent,
    on: (bus) => ({
      request: async (...args) => {
        const answer = await bus.request(...args);
        return answer === 'unanswered' ? 'undelivered' : answer;
      },
    }),
  },
  'that reports a gone node as unanswered': {
    breaks: 'reports undelivered for a node that has gone',
    on: (bus) => ({
      request: async (...args) => {
        const answer = await bus.request(...args);
        return answer === 'undelivered' ? 'unanswered' : answer;
      },
    }),
  },
  'that delivers no request': {
    breaks: 'passes the sender of a request',
    on: () => ({ request: async () => 'undelivered' }),
  },
  'that delivers notes to their sender': {
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
  'that delivers notes twice': {
    breaks: ownOnce,
    on: (bus) => ({
      broadcast(note) {
        bus.broadcast(note);
        bus.broadcast(note);
      },
    }),
  },
  'that delivers no note': {
    breaks: 'delivers every kind of note unchanged',
    on: () => ({ broadcast() {} }),
  },
  'that loses the sender of a note': {
    breaks: ownOnce,
    on: (bus) => ({ onNote: (handler) => bus.onNote((note) => handler(note, bus.node)) }),
  },
  'that delivers commits to no other node': {
    breaks: 'delivers what was published before it closes',
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
  'that delivers commits twice': { breaks: asWas, on: (bus) => frames(bus, (frame) => [frame, frame]) },
  'that alters leaves': {
    breaks: asWas,
    on: (bus) => frames(bus, (f) => [{ ...f, leaves: f.leaves.map((leaf) => leaf.normalize('NFC')) }]),
  },
  'that loses the users a commit concerns': {
    breaks: asWas,
    on: (bus) => frames(bus, (frame) => [{ ...frame, receivers: { ...receiversOf(frame), concerns: [] } }]),
  },
  'that loses the order of commits': {
    breaks: 'delivers the commits of a node in order',
    on: (bus) => {
      const held: CommitFrame[] = [];
      return frames(bus, (frame) => (held.push(frame) === 2 ? held.splice(0).reverse() : []));
    },
  },
  'that delivers a commit to its own node later': {
    breaks: 'delivers a commit to its own node at once, in the order of subscription',
    on: (bus) => ({ publish: (frame) => void setImmediate(() => bus.publish(frame)) }),
  },
  'that keeps subscriptions that have ended': {
    breaks: 'delivers nothing to an ended subscription',
    on: (bus) => ({
      subscribe(handler) {
        bus.subscribe(handler);
        return () => {};
      },
    }),
  },
  'that continues when it is closed': {
    breaks: 'delivers nothing once it is closed',
    on: () => ({ close: async () => {} }),
  },
};

/** Applies the defect to a bus. */
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
