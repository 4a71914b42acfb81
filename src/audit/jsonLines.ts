import { decodeLeaf } from '../events/codec.js';
import { sealContext } from '../events/types.js';
import { open } from '../vault/cipher.js';
import type { KeyStore } from '../vault/vault.js';
import { openEvents } from './openEvents.js';

/** A leaf and its place in the log. */
export interface PlacedLeaf {
  readonly partition: number;
  readonly offset: number;
  readonly leaf: string;
}

/**
 * The leaf of a message as `encodeEvent` writes it: what comes before the sealed text, with the ids of room and message;
 * the text; what is behind it; and what follows the audience, with the actor. Nothing in it stands escaped.
 */
const messageLeaf =
  /^\{("stream":"room:[^"\\]+","version":\d+,"type":"MessageSent","data":\{"roomId":"([^"\\]+)","messageId":"([^"\\]+)","seq":\d+,"text":)"([^"\\]+)"((?:,"replyTo":"[^"\\]+")?\}),"audience":\[[^\]\\]*\](,"actor":"([^"\\]+)",.+)$/;

/**
 * Events as auditors see them, a JSON text each, as `openEvents` opens them. Nearly all events are messages: of those,
 * only the sealed text is replaced, and the rest stays the text that it is, which takes half of the time.
 */
export async function jsonOf(keys: Pick<KeyStore, 'keys'>, leaves: readonly PlacedLeaf[]): Promise<string[]> {
  const messages = leaves.map(({ leaf }) => messageLeaf.exec(leaf));
  const owners = new Set<string>();
  for (const message of messages) if (message?.[7] !== undefined) owners.add(message[7]);
  const keyOf = await keys.keys([...owners]);
  const others = leaves.filter((_, i) => messages[i] === null);
  const opened = await openEvents(
    keys,
    others.map(({ leaf, partition, offset }) => decodeLeaf(leaf, partition, offset)),
  );
  const rest = opened.values();
  return leaves.map(({ partition, offset }, i) => {
    const message = messages[i];
    if (!message) return JSON.stringify(rest.next().value);
    // All groups take part in every match, so there is none that is not given.
    const [, start, roomId = '', messageId = '', sealed = '', end, after, actor = ''] = message;
    const key = keyOf.get(actor);
    if (key === undefined) throw new TypeError(`no key of ${actor} was asked for`);
    const isErased = key === 'destroyed';
    const text = isErased
      ? 'null'
      : JSON.stringify(open(key, sealed, sealContext.message(roomId, messageId)));
    return `{"partition":${partition},"offset":${offset},${start}${text}${end}${isErased ? ',"erased":true' : ''}${after}`;
  });
}
