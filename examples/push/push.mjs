// Tells people of messages while they are away. It reads Parley's events from the start, so that it knows who is in
// which room, and then goes on live. PARLEY_KEY is from `npx parley key add push --scopes events`.
const { PARLEY_URL = 'http://127.0.0.1:3000', PARLEY_KEY } = process.env;
/** Nobody wants a notification of an older message. */
const FRESH_MS = 600_000;
const MOST_HELD = 50;

/** Calls the push service of the person's phones. Use `messageId` as the collapse id: a message may be told twice. */
const notify = (person, { messageId, text }) => console.log(`to ${person}: ${text} (${messageId})`);

/** All that the events have said. Users have the ids of Parley here; `people` leads to your own ids. */
class Known {
  people = new Map();
  members = new Map();
  blocks = new Set();
  mutedUntil = new Map();
  /** Of each user who is online: the messages that they have not read. */
  unread = new Map();

  /** Returns who is to be told of which message now. */
  apply({ type, actor, recordedAt, data }) {
    const { userId, roomId, by, target } = data;
    const members = this.members.get(roomId) ?? new Set();
    if (type === 'IdentityLinked') this.people.set(userId, data.subject);
    if (type === 'UserErased') this.people.delete(userId);
    if (type === 'RoomCreated') this.members.set(roomId, new Set(data.members));
    if (type === 'GroupCreated') this.members.set(roomId, new Set());
    if (type === 'MemberJoined') members.add(userId);
    if (type === 'MemberLeft' || type === 'MemberErased') members.delete(userId);
    if (type === 'MemberBlocked') this.blocks.add(`${by} ${target}`);
    if (type === 'MemberUnblocked') this.blocks.delete(`${by} ${target}`);
    if (type === 'ChatChanged' && data.mutedUntil !== undefined)
      this.mutedUntil.set(`${userId} ${roomId}`, data.mutedUntil);
    if (type === 'MessagesRead' && this.unread.has(userId))
      this.unread.set(
        userId,
        this.unread.get(userId).filter((one) => one.roomId !== roomId || one.seq > data.upTo),
      );
    if (type === 'UserWentOnline') this.unread.set(userId, []);
    if (type === 'UserWentOffline') return this.leave(userId, data.lastSeen);
    if (type !== 'MessageSent' || data.text === null) return [];
    const isTold = (id) => id !== actor && !this.blocks.has(`${id} ${actor}`) && !this.isMuted(id, roomId);
    return [...members].filter(isTold).flatMap((id) => this.hold(id, { ...data, recordedAt }));
  }

  isMuted(userId, roomId) {
    return Date.parse(this.mutedUntil.get(`${userId} ${roomId}`) ?? '') > Date.now();
  }

  /** Who is online sees a message in the application, unless the connection was lost: Parley notices that later. */
  hold(userId, message) {
    const unread = this.unread.get(userId);
    if (unread === undefined) return [{ userId, message }];
    this.unread.set(userId, [...unread, message].slice(-MOST_HELD));
    return [];
  }

  leave(userId, lastSeen) {
    const unread = this.unread.get(userId) ?? [];
    this.unread.delete(userId);
    return unread.filter(({ recordedAt }) => recordedAt >= lastSeen).map((message) => ({ userId, message }));
  }
}

const types = [
  'IdentityLinked,UserErased,RoomCreated,GroupCreated,MemberJoined,MemberLeft,MemberErased,MemberBlocked',
  'MemberUnblocked,ChatChanged,MessagesRead,UserWentOnline,UserWentOffline,MessageSent',
].join();
let [known, from] = [new Known(), 'start'];
console.log('listening');
for (;;) {
  const query = new URLSearchParams({ from, types, limit: '200', wait: '30s' });
  const headers = { authorization: `Bearer ${PARLEY_KEY}` };
  const response = await fetch(`${PARLEY_URL}/server/events?${query}`, { headers }).catch(() => undefined);
  if (response?.ok) {
    const { events, next } = await response.json();
    for (const { userId, message } of events.flatMap((event) => known.apply(event)))
      if (known.people.get(userId) && Date.parse(message.recordedAt) > Date.now() - FRESH_MS)
        notify(known.people.get(userId), message);
    from = next;
  } else if (response?.status === 400 && from !== 'start') {
    // Parley was restored from a backup, so the cursor is of another history.
    [known, from] = [new Known(), 'start'];
  } else {
    console.error(`Parley answered ${response?.status ?? 'nothing'}; trying again`);
    await new Promise((resolve) => setTimeout(resolve, 5000));
  }
}
