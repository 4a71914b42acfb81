import { expect } from 'chai';
import { FlowControl } from '../../../src/cluster/natsConnection.js';
import { eventually } from '../../support/eventually.js';

const MEBIBYTE = 1024 * 1024;

describe('the flow control of a connection', () => {
  let answers: (() => void)[] = [];
  let silences = 0;
  let outflow: FlowControl;

  beforeEach(() => {
    answers = [];
    silences = 0;
    outflow = new FlowControl(
      () => new Promise((resolve) => answers.push(resolve)),
      () => silences++,
    );
  });
  afterEach(() => outflow.stop());

  it('limits unconfirmed bytes', async () => {
    const admitted = () => Array.from({ length: 20 }, () => outflow.admit(MEBIBYTE)).filter(Boolean).length;
    expect(admitted()).to.equal(8);
    expect(admitted()).to.equal(0);
    expect(answers, 'it asks once at a time').to.have.length(1);
    answers[0]?.();
    await eventually('there is room again', () => outflow.admit(1));
    // The ping was sent when two of the eight had been admitted.
    expect(admitted()).to.equal(1);
    expect(silences).to.equal(0);
  });

  it('reports a server that stops answering', async () => {
    await eventually('the silence is noticed', () => silences === 1);
    expect(answers).to.have.length(1);
  });
});
