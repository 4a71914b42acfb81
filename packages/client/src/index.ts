/**
 * Parley's client: a connection that reconnects by itself, an outbox that loses nothing, and a store of
 * chats and messages for user interfaces. It needs a WebSocket, `fetch`, `atob`, `AbortController`, timers and
 * `crypto.getRandomValues`, and nothing else of a browser or of Node.
 * @packageDocumentation
 */
export type { ErrorCode, FieldError } from '../../../src/base/errors.js';
export { createClient } from './client.js';
export type { Backoff, ClientOptions, ServerUrl, Token, TokenSource } from './options.js';
export {
  type MessageOptions,
  newUuid,
  Outbox,
  type OutboxEntry,
  type OutboxOptions,
  type OutboxStore,
  type QueuedRequest,
} from './outbox.js';
export {
  type Fetch,
  type Profile,
  type ProfileChanges,
  Rest,
  type RestOptions,
  type SearchOptions,
  type SignedIn,
} from './rest.js';
export { createStore } from './store/store.js';
export type {
  ChatInfo,
  ChatView,
  Entry,
  GroupChange,
  Happening,
  HistoryState,
  Presence,
  ReportInput,
  Room,
  RoomView,
  Snapshot,
  Store,
  StoreOptions,
  StoreState,
} from './store/storeTypes.js';
export type {
  After,
  Chat,
  Client,
  ClientState,
  CursorStore,
  Message,
  Preferences,
  Push,
  PushData,
  PushHandler,
  PushName,
  RequestAnswer,
  RequestInput,
  RequestName,
  RequestOptions,
  User,
  WebSocketClass,
  WebSocketLike,
} from './types.js';
export { ClientError, type ClientErrorCode, type ErrorBody } from './types.js';
