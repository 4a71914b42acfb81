/**
 * Keeps the files of one build of the chat, and the lists of emoji that were used, so that the page opens without a network, and shows notifications. It
 * answers requests for these files only: what the API answers is never kept.
 *
 * A page and its worker are of the same build. A new worker waits until the pages of the old one are closed or agree to
 * load again: they find all files of their own build until then.
 */

// The library's type is the one of any worker.
const worker = self as unknown as ServiceWorkerGlobalScope;

/** A file with its hash: the others are named by theirs. */
type Kept = readonly [path: string, integrity?: string];

/** The build puts the list here. */
declare const KEPT_FILES: {
  readonly build: string;
  readonly files: readonly Kept[];
  /** The lists of emoji, one a language. Each is kept when it was first needed. */
  readonly lists: readonly string[];
};

const { build, files, lists } = KEPT_FILES;
const PREFIX = 'parley-build-';
const CACHE = PREFIX + build;
/** Over all builds: most of them have the same lists, by names that say so. */
const LIST_CACHE = 'parley-lists';
const kept: ReadonlySet<string> = new Set(files.map(([path]) => path));

/** Fetches all files or fails. A server that has another build already answers with files of another hash. */
async function keepFiles(): Promise<void> {
  const cache = await caches.open(CACHE);
  await cache.addAll(
    files.map(([path, integrity]) =>
      integrity === undefined ? path : new Request(path, { integrity, cache: 'no-cache' }),
    ),
  );
}

async function forgetOtherBuilds(): Promise<void> {
  const names = await caches.keys();
  await Promise.all(
    names.filter((name) => name.startsWith(PREFIX) && name !== CACHE).map((name) => caches.delete(name)),
  );
}

/** The path of a kept file that answers this request; undefined for all else. */
function keptPath({ method, url, mode }: Request): string | undefined {
  const { origin, pathname } = new URL(url);
  if (method !== 'GET' || origin !== worker.location.origin) return undefined;
  // The page itself is kept for navigations only.
  return kept.has(pathname) && (pathname !== '/' || mode === 'navigate') ? pathname : undefined;
}

/** The kept file. Where the browser has cleared its store, the server's. */
async function answer(path: string, request: Request): Promise<Response> {
  const cache = await caches.open(CACHE);
  return (await cache.match(path, { ignoreVary: true })) ?? fetch(request);
}

/** A list of emoji: the kept one, or the server's, which is kept from then on in place of those of other builds. */
async function answerList(request: Request): Promise<Response> {
  const cache = await caches.open(LIST_CACHE);
  const found = await cache.match(request, { ignoreVary: true });
  if (found) return found;
  const fetched = await fetch(request);
  if (fetched.ok) {
    try {
      for (const old of await cache.keys())
        if (!lists.includes(new URL(old.url).pathname)) await cache.delete(old);
      await cache.put(request, fetched.clone());
    } catch {
      // The browser has no room for it.
    }
  }
  return fetched;
}

const isList = ({ method, url }: Request): boolean =>
  method === 'GET' && lists.some((path) => url === worker.location.origin + path);

const openWindows = () => worker.clients.matchAll({ type: 'window', includeUncontrolled: true });

/** Shows the room of a notification, in a window that is open already if there is one. */
async function openRoom(address: string): Promise<void> {
  const wanted = new URL(address, worker.location.origin);
  const windows = await openWindows();
  const fits = windows.find(({ url }) => {
    const { pathname, search } = new URL(url);
    return pathname === wanted.pathname && search === wanted.search;
  });
  if (!fits) return void (await worker.clients.openWindow(wanted.href));
  fits.postMessage({ open: wanted.hash });
  await fits.focus();
}

worker.addEventListener('install', (event) => event.waitUntil(keepFiles()));
worker.addEventListener('activate', (event) =>
  event.waitUntil(forgetOtherBuilds().then(() => worker.clients.claim())),
);
worker.addEventListener('fetch', (event) => {
  const path = keptPath(event.request);
  if (path !== undefined) event.respondWith(answer(path, event.request));
  else if (isList(event.request)) event.respondWith(answerList(event.request));
});
worker.addEventListener('message', (event) => {
  const { data } = event;
  if (data === 'take over') event.waitUntil(worker.skipWaiting());
  // A page that has only just been opened has nothing to lose; others ask their user.
  if (data === 'take over if alone')
    event.waitUntil(
      openWindows().then((windows) => (windows.length <= 1 ? worker.skipWaiting() : undefined)),
    );
});
worker.addEventListener('notificationclick', (event) => {
  event.notification.close();
  const { data } = event.notification;
  if (typeof data === 'string') event.waitUntil(openRoom(data));
});
