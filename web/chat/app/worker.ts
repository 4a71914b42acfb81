import { takeTabJson, writeTabText } from '../../ui/browserStore.js';

/** The script that keeps the files of this build: see `web/worker`. */
const SCRIPT = '/serviceWorker.js';
/** A page that comes to the front asks for a new build at most this often. */
const UPDATE_PAUSE_MS = 60 * 60_000;

let registration: ServiceWorkerRegistration | undefined;

/** The worker's registration; undefined where the browser has none, as over plain HTTP. */
export const workerRegistration = (): ServiceWorkerRegistration | undefined => registration;

/**
 * Installs the worker, and calls `onUpdate` when a new build waits for the pages to be loaded again. Never rejects: the
 * chat works without a worker.
 */
export async function installWorker(onUpdate: () => void): Promise<void> {
  const { serviceWorker } = navigator;
  if (!serviceWorker) return;
  let isControlled = serviceWorker.controller !== null;
  serviceWorker.addEventListener('controllerchange', () => {
    // The first worker takes over a page of its own build.
    if (isControlled) location.reload();
    isControlled = true;
  });
  serviceWorker.addEventListener('message', ({ data }: MessageEvent<unknown>) => {
    if (isOpening(data)) location.hash = data.open;
  });
  try {
    registration = await serviceWorker.register(SCRIPT, { updateViaCache: 'none' });
  } catch {
    return;
  }
  // Blocked browsers resolve with nothing, whatever the type says.
  if (!registration) return;
  const { waiting } = registration;
  if (waiting) {
    waiting.postMessage('take over if alone');
    onUpdate();
  }
  registration.addEventListener('updatefound', () => {
    const fresh = registration?.installing;
    fresh?.addEventListener('statechange', () => {
      if (fresh.state === 'installed' && serviceWorker.controller) onUpdate();
    });
  });
}

const isOpening = (data: unknown): data is { readonly open: string } =>
  typeof data === 'object' && data !== null && 'open' in data && typeof data.open === 'string';

/** Loads all pages of this browser again, with the build that waits. */
export function applyUpdate(): void {
  registration?.waiting?.postMessage('take over');
}

let askedAt = performance.now();

/** Asks the server for a new build. Without a network, it is asked again later. */
export function checkForUpdate(): void {
  askedAt = performance.now();
  registration?.update().catch(() => {});
}

/** The same, unless the server was asked a short time ago. */
export function checkForUpdateIfDue(): void {
  if (performance.now() - askedAt >= UPDATE_PAUSE_MS) checkForUpdate();
}

const RELOADED_KEY = 'parley.reloaded';

/**
 * Loads the page again when one of its files is no longer on the server, because that has a new build. A page whose own
 * build is there has another problem, and so has one that was loaded again already.
 *
 * @param script the address of the page's own script, whose name every build changes
 */
export function reloadForNewBuild(script: string): void {
  addEventListener('vite:preloadError', () => void reloadIfGone(new URL(script).pathname));
}

async function reloadIfGone(ownScript: string): Promise<void> {
  const page = await fetch('/', { cache: 'no-cache' }).then(
    (response) => (response.ok ? response.text() : undefined),
    () => undefined,
  );
  if (page === undefined || page.includes(ownScript)) return;
  const reloaded = takeTabJson(RELOADED_KEY);
  writeTabText(RELOADED_KEY, JSON.stringify(ownScript));
  if (reloaded !== ownScript) location.reload();
}
