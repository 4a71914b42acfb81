import { Agent, get } from 'node:http';
import { text } from 'node:stream/consumers';

const agent = new Agent({ keepAlive: true });

/**
 * Gets a resource; rejects on any status but 200. Does not use `fetch`, which takes as long as some of the measured
 * answers. Its garbage collection also takes CPU from the server on the same machine.
 */
export function ask(url: string, headers: Readonly<Record<string, string>>): Promise<string> {
  return new Promise((resolve, reject) => {
    const asking = get(url, { agent, headers: { ...headers } }, (response) => {
      text(response).then((body) => {
        if (response.statusCode === 200) resolve(body);
        else reject(new Error(`GET ${url}: ${response.statusCode} ${body}`));
      }, reject);
    });
    asking.on('error', reject);
  });
}

/** Posts JSON and returns the JSON answer; rejects on any status but 2xx and those in `alsoGood`. */
export async function post(url: string, body: unknown, alsoGood: readonly number[] = []): Promise<unknown> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!response.ok && !alsoGood.includes(response.status))
    throw new Error(`POST ${url}: ${response.status} ${await response.text()}`);
  return response.json();
}
