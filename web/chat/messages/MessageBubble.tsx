import type { Entry, Message } from '@parley/client';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { errorText } from '../../ui/errorText.js';
import { formatClock } from '../../ui/format.js';
import { Icon } from '../../ui/icons.js';
import { text } from '../../ui/texts.js';
import { type Line, useLines } from './farMessages.js';
import { useLongPress } from './longPress.js';
import { MessageBar } from './MessageBar.js';
import { MessageText } from './MessageText.js';
import { idOf, textOf, timeOf } from './messageRows.js';
import { ALL } from './messageText.js';
import { Reactions } from './Reactions.js';
import { actionsOn, lineOfEntry, nameOf, personOf, type Talk, useTalk } from './talk.js';

interface Props {
  readonly entry: Entry;
  /** The message that this one replies to; without an entry while that message is not loaded. */
  readonly quoted: { readonly id: string; readonly entry: Entry | undefined } | undefined;
  /** Whether the message above is of the same person. */
  readonly isContinued: boolean;
  /** Whether the user was just led here. */
  readonly isFound: boolean;
  /** Whether the Tab key leads to it. What can be pressed in it is reached by arrow keys. */
  readonly isStop: boolean;
  readonly onGoTo: (messageId: string) => void;
}

/** One message with its delivery state. */
export function MessageBubble({ entry, quoted, isContinued, isFound, isStop, onGoTo }: Props) {
  const talk = useTalk();
  const { viewer, view, act } = talk;
  const { me } = viewer;
  const [isShown, setShown] = useState(false);
  const isMine = isFrom(me.userId, entry);
  const message = entry.state === 'stored' ? entry.message : undefined;
  const sender = senderOf(talk, entry);
  const longPress = useLongPress(
    (element) => message && actionsOn(message, view, viewer).length > 0 && act('menu', message, element),
  );
  const article = useRef<HTMLElement>(null);
  // The button that was pressed is gone.
  useLayoutEffect(() => {
    if (isShown) article.current?.focus();
  }, [isShown]);
  const tabIndex = isStop ? 0 : -1;
  const [whoId, whatId] = [`who-${idOf(entry)}`, `what-${idOf(entry)}`];
  const classes = [
    'bubble',
    isMine ? 'mine' : 'theirs',
    entry.state,
    isContinued ? 'continued' : '',
    isFound ? 'found' : '',
  ];
  if (entry.state === 'stored' && entry.blocked && !isShown)
    return <FoldedMessage tabIndex={tabIndex} onShow={() => setShown(true)} />;
  const showsName = view.chat?.roomType === 'GROUP' && !isMine && !isContinued;
  return (
    <article
      {...longPress}
      ref={article}
      class={classes.join(' ')}
      tabIndex={tabIndex}
      aria-labelledby={whoId}
      aria-describedby={whatId}
    >
      <h2 id={whoId} class={showsName ? 'sender' : 'hidden-visually'}>
        <bdi>{sender}</bdi>
      </h2>
      {quoted && <Quote talk={talk} quoted={quoted} onGoTo={onGoTo} />}
      <div id={whatId}>
        <Content talk={talk} entry={entry} />
      </div>
      <footer>
        {message?.pinned && <Mark icon="pin" text={text('messages.pinned')} />}
        {message?.rev !== undefined && (
          <button
            class="edited"
            type="button"
            tabIndex={-1}
            onClick={(event) => act('edits', message, event.currentTarget)}
          >
            {text('messages.edited')}
          </button>
        )}
        <time dateTime={timeOf(entry)}>{formatClock(timeOf(entry))}</time>
        {isMine && <DeliveryMark entry={entry} />}
      </footer>
      {message?.reactions && <Reactions message={message} />}
      {entry.state === 'refused' && <Refusal talk={talk} entry={entry} />}
      {message && <MessageBar message={message} />}
    </article>
  );
}

/** Entries that are not stored yet are always the user's own. */
const isFrom = (myId: string, entry: Entry): boolean =>
  entry.state !== 'stored' || entry.message.senderId === myId;

const senderOf = (talk: Talk, entry: Entry): string =>
  nameOf(talk, entry.state === 'stored' ? entry.message.senderId : talk.viewer.me.userId);

interface FoldedProps {
  readonly tabIndex: number;
  readonly onShow: () => void;
}

function FoldedMessage({ tabIndex, onShow }: FoldedProps) {
  return (
    <article class="bubble theirs folded" tabIndex={tabIndex}>
      <p class="text erased">{text('messages.ofBlocked')}</p>
      <button class="button plain" type="button" tabIndex={-1} onClick={onShow}>
        {text('messages.show')}
      </button>
    </article>
  );
}

interface QuoteProps {
  readonly talk: Talk;
  readonly quoted: { readonly id: string; readonly entry: Entry | undefined };
  readonly onGoTo: (messageId: string) => void;
}

function Quote({ talk, quoted: { id, entry }, onGoTo }: QuoteProps) {
  return (
    <button class="quote" type="button" tabIndex={-1} onClick={() => onGoTo(id)}>
      {entry ? (
        <QuotedLine line={{ sender: senderOf(talk, entry), text: lineOfEntry(talk, entry) }} />
      ) : (
        <FarQuote talk={talk} id={id} />
      )}
    </button>
  );
}

/** A message that the room has not loaded. */
const FarQuote = ({ talk, id }: { readonly talk: Talk; readonly id: string }) => (
  <QuotedLine line={useLines(talk, [id])(id)} />
);

const QuotedLine = ({ line: { sender, text: shown } }: { readonly line: Line }) => (
  <>
    {sender !== '' && (
      <b>
        <bdi>{sender}</bdi>
      </b>
    )}
    <bdi>{shown}</bdi>
  </>
);

/** The text, or a line in its place. */
function Content({ talk, entry }: { readonly talk: Talk; readonly entry: Entry }) {
  const shown = textOf(entry);
  const message = entry.state === 'stored' ? entry.message : undefined;
  if (shown === null) return <p class="text erased">{goneText(talk, message)}</p>;
  const { mentions = [] } = message ?? (entry as Pick<Message, 'mentions'>);
  const mentioned = mentions.flatMap((userId) => personOf(talk, userId) ?? []);
  return (
    <MessageText
      text={shown}
      mentioned={mentioned}
      mentionsAll={mentions.includes(ALL)}
      me={talk.viewer.me}
    />
  );
}

/** What is said of a message without a text. */
function goneText({ viewer: { me } }: Talk, message: Message | undefined): string {
  const by = message?.deleted?.by;
  if (by === me.userId) return text('messages.deletedByYou');
  return by !== undefined && by !== message?.senderId
    ? text('messages.deletedByAdmin')
    : text('messages.deleted');
}

function Refusal({
  talk: { room },
  entry,
}: {
  readonly talk: Talk;
  readonly entry: Extract<Entry, { state: 'refused' }>;
}) {
  return (
    <div class="refusal">
      <p class="error">{text('messages.notSent', { reason: errorText(entry.error) })}</p>
      <span class="refusal-actions">
        <button class="button" type="button" tabIndex={-1} onClick={() => room.retry(idOf(entry))}>
          {text('messages.tryAgain')}
        </button>
        <button class="button" type="button" tabIndex={-1} onClick={() => room.discard(idOf(entry))}>
          {text('messages.discard')}
        </button>
      </span>
    </div>
  );
}

const marks = {
  sending: { icon: 'waiting', text: 'messages.markSending' },
  refused: { icon: 'refused', text: 'messages.markNotSent' },
  stored: { icon: 'sent', text: 'messages.markSent' },
  read: { icon: 'read', text: 'messages.markRead' },
} as const;

function DeliveryMark({ entry }: { readonly entry: Entry }) {
  const isStored = entry.state === 'stored';
  const state = isStored && entry.isChanging ? 'sending' : isStored && entry.isRead ? 'read' : entry.state;
  const { icon, text: name } = marks[state];
  return <Mark icon={icon} text={text(name)} state={state} />;
}

interface MarkProps {
  readonly icon: Parameters<typeof Icon>[0]['name'];
  readonly text: string;
  readonly state?: string;
}

function Mark({ icon, text: title, state = '' }: MarkProps) {
  return (
    <span class={`mark ${state}`} title={title}>
      <Icon name={icon} />
      <span class="hidden-visually">{title}</span>
    </span>
  );
}
