import { expect } from 'chai';
import { type Called, countOf, PathFinder, type ThreadCoverage } from '../../bench/coverage/report.js';

const called = (name: string, calls = 1, file = 'a'): Called => ({
  url: `file:///dist/src/${file}.js`,
  name,
  at: name.length,
  calls,
});
const ran = (thread: number, ...functions: readonly Called[]): ThreadCoverage => ({
  thread,
  name: `thread${thread}`,
  called: functions,
});
const namesOf = (path: readonly ThreadCoverage[]) =>
  path.map(({ thread, called }) => [thread, called.map(({ name }) => name)]);

describe('the path of a message', () => {
  it('has what ran in more than half of the windows with a message', () => {
    const finder = new PathFinder();
    finder.sent([ran(0, called('always', 3), called('mostly'), called('half'))]);
    finder.sent([ran(0, called('always', 1), called('mostly'), called('half'))]);
    finder.sent([ran(0, called('always', 1), called('mostly'))]);
    finder.sent([ran(0, called('always', 1))]);
    expect(namesOf(finder.path())).to.deep.equal([[0, ['always', 'mostly']]]);
    expect(finder.path()[0]?.called[0]?.calls).to.equal(1.5);
  });

  it('leaves out what ran in the same thread without a message', () => {
    const finder = new PathFinder();
    finder.idled([ran(0, called('timer')), ran(1)]);
    finder.sent([ran(0, called('timer'), called('send')), ran(1, called('timer'))]);
    expect(namesOf(finder.path())).to.deep.equal([
      [0, ['send']],
      [1, ['timer']],
    ]);
    finder.idled([ran(1, called('timer'))]);
    expect(namesOf(finder.path())).to.deep.equal([[0, ['send']]]);
  });

  it('counts a function of several threads once', () => {
    const path = [ran(0, called('one'), called('other', 1, 'b')), ran(1, called('one'), called('two'))];
    expect(countOf(path)).to.deep.equal({ functions: 3, files: 2 });
  });
});
