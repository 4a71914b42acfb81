/** The browser needs the object URL until its download has begun. */
const REVOKE_AFTER_MS = 60_000;

/** Offers a file for download. */
export function downloadFile(name: string, content: Blob): void {
  const url = URL.createObjectURL(content);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), REVOKE_AFTER_MS);
}

/** Offers a value for download as an indented JSON file. */
export const downloadJson = (name: string, value: unknown): void =>
  downloadFile(name, new Blob([JSON.stringify(value, null, 2)], { type: 'application/json' }));

/** Whether this page can hash and verify: browsers offer Web Crypto only over HTTPS and on localhost. */
export const hasWebCrypto = (): boolean => globalThis.crypto?.subtle !== undefined;

/** The promise's outcome; rejects if there is none within `ms`. */
export function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** The key code of any key that an input method handles. */
const COMPOSING_KEY_CODE = 229;

/**
 * Whether an input method that composes text gets this key: Enter and Escape end a composition. Safari ends it before
 * it tells of the key, so that only the deprecated code shows it.
 */
export const isOfInputMethod = ({ isComposing, keyCode }: KeyboardEvent): boolean =>
  isComposing || keyCode === COMPOSING_KEY_CODE;
