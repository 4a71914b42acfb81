import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { type HeapProfiler, type InspectorNotification, type Runtime, Session } from 'node:inspector';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { threadId } from 'node:worker_threads';

/**
 * Loaded before a program (`--import`), in each of its threads. Whenever `HEAP_PROBE/ask` has a new number, it writes what
 * is alive in the thread's heap: all strings, and the bytes of all typed arrays. A thread that sleeps until it is given
 * sealed bytes cannot answer. See `heap.ts`, which asks.
 */
const LOOK_EVERY_MS = 100;
/** Longer than any string that the tests look for. */
const STRING_LIMIT = 1_000_000;

function writeStrings(session: Session, file: string): void {
  const fd = openSync(file, 'w');
  const write = ({ params }: InspectorNotification<HeapProfiler.AddHeapSnapshotChunkEventDataType>) =>
    void writeSync(fd, params.chunk);
  session.on('HeapProfiler.addHeapSnapshotChunk', write);
  session.post('HeapProfiler.takeHeapSnapshot', { reportProgress: false }, (error) => {
    if (error) throw error;
  });
  session.off('HeapProfiler.addHeapSnapshotChunk', write);
  closeSync(fd);
}

function writeBytes(session: Session, file: string): void {
  const fd = openSync(file, 'w');
  // The inspector collects garbage, and then names every object of the prototype.
  const typedArrays = 'Object.getPrototypeOf(Uint8Array.prototype)';
  const found = { prototype: '', objects: '' };
  session.post('Runtime.evaluate', { expression: typedArrays }, (_, answer) => {
    found.prototype = answer?.result.objectId ?? '';
  });
  session.post('Runtime.queryObjects', { prototypeObjectId: found.prototype }, (error, answer) => {
    if (error) throw error;
    found.objects = answer?.objects.objectId ?? '';
  });
  Object.defineProperty(globalThis, 'writeToHeapProbe', {
    configurable: true,
    value(arrays: readonly NodeJS.TypedArray[]) {
      // Prototypes are in the list too.
      for (const array of arrays) if (ArrayBuffer.isView(array) && array.byteLength > 0) writeSync(fd, array);
    },
  });
  const call: Runtime.CallFunctionOnParameterType = {
    objectId: found.objects,
    functionDeclaration: 'function () { globalThis.writeToHeapProbe(this); }',
  };
  session.post('Runtime.callFunctionOn', call, (error, answer) => {
    if (error ?? answer?.exceptionDetails) throw new Error(JSON.stringify(answer?.exceptionDetails ?? error));
  });
  session.post('Runtime.releaseObject', { objectId: found.objects });
  Reflect.deleteProperty(globalThis, 'writeToHeapProbe');
  closeSync(fd);
}

function startProbe(directory: string): void {
  setFlagsFromString(`--heap-snapshot-string-limit=${STRING_LIMIT}`);
  const here = join(directory, `thread-${threadId}`);
  const ask = join(directory, 'ask');
  writeFileSync(here, '');
  process.on('exit', () => rmSync(here, { force: true }));
  let last = '';
  const look = (): void => {
    writeFileSync(`${here}.alive`, String(Date.now()));
    const asked = existsSync(ask) ? readFileSync(ask, 'utf8') : '';
    if (asked === last || asked === '') return;
    last = asked;
    const session = new Session();
    session.connect();
    writeStrings(session, `${here}.strings`);
    writeBytes(session, `${here}.bytes`);
    session.disconnect();
    writeFileSync(`${here}.new`, asked);
    renameSync(`${here}.new`, `${here}.done`);
  };
  setInterval(look, LOOK_EVERY_MS).unref();
}

const directory = process.env.HEAP_PROBE;
if (directory !== undefined) startProbe(directory);
