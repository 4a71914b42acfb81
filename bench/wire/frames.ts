/**
 * The part of RFC 6455 that a load generator needs: unfragmented text frames without extensions. It is small because
 * the generator and the server share the machine's cores.
 */

// All bytes of the mask are equal, so that a masked template can be filled at any offset. The mask is not zero: servers
// skip the unmasking of a zero mask, and browsers never send one.
const maskByte = 0x5a;
const text = 0x1;
const close = 0x8;
const ping = 0x9;
const pong = 0xa;

function frame(opcode: number, payload: Buffer): Buffer {
  const { length } = payload;
  if (length > 0xffff) throw new RangeError('the load generator cannot send frames above 65,535 bytes');
  const header =
    length < 126 ? [0x80 | opcode, 0x80 | length] : [0x80 | opcode, 0x80 | 126, length >> 8, length & 0xff];
  const bytes = Buffer.alloc(header.length + 4 + length, maskByte);
  bytes.set(header);
  const start = header.length + 4;
  for (let i = 0; i < length; i++) bytes[start + i] = (payload[i] ?? 0) ^ maskByte;
  return bytes;
}

/** A masked text frame; throws a `RangeError` above 65,535 bytes. */
export const textFrame = (payload: string): Buffer => frame(text, Buffer.from(payload));

/** Writes the digits of a number in `width` bytes from `at`, masked and padded with zeros. */
function putDigits(bytes: Buffer, at: number, width: number, value: number): void {
  let rest = value;
  for (let place = at + width - 1; place >= at; place--) {
    const shorter = Math.floor(rest / 10);
    bytes[place] = (0x30 + rest - shorter * 10) ^ maskByte;
    rest = shorter;
  }
}

/** A prepared text frame. Each send only writes two new numbers of a fixed width into it. */
export class FrameTemplate {
  readonly #bytes: Buffer;
  readonly #fields: readonly [Field, Field];

  /** @param fields digits that occur once in the payload; `fill` overwrites them in this order */
  constructor(payload: string, fields: readonly [string, string]) {
    this.#bytes = textFrame(payload);
    const start = this.#bytes.length - Buffer.byteLength(payload);
    const locate = (field: string) => ({
      at: start + Buffer.from(payload).indexOf(field),
      width: field.length,
    });
    this.#fields = [locate(fields[0]), locate(fields[1])];
  }

  /** Returns a new frame with these numbers in the fields, padded with zeros. */
  fill(one: number, two: number): Buffer {
    const bytes = Buffer.allocUnsafe(this.#bytes.length);
    bytes.set(this.#bytes);
    const [first, second] = this.#fields;
    putDigits(bytes, first.at, first.width, one);
    putDigits(bytes, second.at, second.width, two);
    return bytes;
  }
}

interface Field {
  readonly at: number;
  readonly width: number;
}

export interface FrameHandler {
  /** The payload is in `bytes` from `start` to `end`, and only valid until this returns. */
  text(bytes: Buffer, start: number, end: number): void;
  /** Sends a frame immediately. */
  reply(frame: Buffer): void;
  closed(code: number): void;
}

/** Splits the server's bytes into frames. A chunk may hold several frames, and a frame several chunks. */
export class FrameReader {
  readonly #handler: FrameHandler;
  #rest: Buffer | undefined;

  constructor(handler: FrameHandler) {
    this.#handler = handler;
  }

  /** Reads the first `length` bytes of `chunk`. The caller may overwrite the chunk afterwards. */
  read(chunk: Buffer, length: number): void {
    const bytes = this.#rest ? Buffer.concat([this.#rest, chunk.subarray(0, length)]) : chunk;
    const end = this.#rest ? bytes.length : length;
    let at = 0;
    while (end - at >= 2) {
      const short = (bytes[at + 1] ?? 0) & 0x7f;
      const start = at + (short < 126 ? 2 : short === 126 ? 4 : 10);
      if (start > end) break;
      const size =
        short < 126
          ? short
          : short === 126
            ? bytes.readUInt16BE(at + 2)
            : Number(bytes.readBigUInt64BE(at + 2));
      if (start + size > end) break;
      this.#frame((bytes[at] ?? 0) & 0xf, bytes, start, start + size);
      at = start + size;
    }
    this.#rest = at < end ? Buffer.from(bytes.subarray(at, end)) : undefined;
  }

  #frame(opcode: number, bytes: Buffer, start: number, end: number): void {
    if (opcode === text) this.#handler.text(bytes, start, end);
    else if (opcode === ping) this.#handler.reply(frame(pong, bytes.subarray(start, end)));
    else if (opcode === close) this.#handler.closed(end - start >= 2 ? bytes.readUInt16BE(start) : 1005);
  }
}
