import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import { CipherError, open, seal } from '../../src/vault/dataKeys.js';

const key = randomBytes(32);
// Lone surrogates are not text: the contract refuses them.
const text = fc.string({ unit: 'binary', maxLength: 500 });

describe('sealed text', () => {
  it('opens to the original text, with its key and context', () => {
    fc.assert(
      fc.property(text, text, (plain, context) => {
        expect(open(key, seal(key, plain, context), context)).to.equal(plain);
      }),
    );
  });

  it('is the base64 of a 12-byte nonce, the encrypted text and a 16-byte tag', () => {
    const sealed = Buffer.from(seal(key, 'grüße 🙂', 'here'), 'base64');
    expect(sealed).to.have.length(12 + Buffer.byteLength('grüße 🙂') + 16);
  });

  it('does not open with another key or context, or after any bit is altered', () => {
    fc.assert(
      fc.property(text, text, fc.nat(), (plain, context, at) => {
        const sealed = seal(key, plain, context);
        const altered = Buffer.from(sealed, 'base64');
        const bit = at % (altered.length * 8);
        altered.writeUInt8(altered.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
        expect(() => open(key, altered.toString('base64'), context)).to.throw(CipherError);
        expect(() => open(key, sealed, `${context}x`)).to.throw(CipherError);
        expect(() => open(randomBytes(32), sealed, context)).to.throw(CipherError);
      }),
    );
  });

  it('does not open when truncated', () => {
    const bytes = Buffer.from(seal(key, 'hello', 'here'), 'base64');
    for (let length = 0; length < bytes.length; length++) {
      const cut = bytes.subarray(0, length).toString('base64');
      expect(() => open(key, cut, 'here')).to.throw(CipherError);
    }
  });

  it('never repeats a nonce, over many refills of the pool', () => {
    const nonces = new Set(Array.from({ length: 5_000 }, () => seal(key, '', '').slice(0, 16)));
    expect(nonces).to.have.property('size', 5_000);
  });
});
