import { expect } from 'chai';
import { printWelcome } from '../../src/app/serve.js';

describe('the welcome of a start', () => {
  const said = (isTTY: boolean): string => {
    let text = '';
    printWelcome('http://127.0.0.1:3000', { isTTY, write: (more) => (text += more) });
    return text;
  };

  it('names the URL of the page, on a terminal only', () => {
    expect(said(true)).to.contain('Open http://127.0.0.1:3000 in a browser');
    expect(said(false)).to.equal('');
  });
});
