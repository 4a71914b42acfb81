import { eventually } from '../test/support/eventually.js';
import { startServer } from '../test/support/server.js';
import { disagreements, partners, transcript } from './agreement.js';
import { actOne, actThree, actTwo, interlude, type Line } from './script.js';
import { Stage } from './stage.js';

const print = (text = ''): void => void process.stdout.write(`${text}\n`);
const heading = (text: string): void => print(`\n── ${text} ${'─'.repeat(Math.max(0, 74 - text.length))}\n`);

const server = await startServer({ engine: 'sqlite' });
print(`A server of its own runs as process ${server.pid}, with its data in ${server.dataDir}.`);
const stage = await Stage.set(server);

let acknowledged = 0;
let onAcknowledged = (): void => {};
async function say(line: Line): Promise<void> {
  const { seq } = await stage.say(line);
  acknowledged++;
  onAcknowledged();
  const by = `${line.by}'s ${line.on}`;
  print(`  ${by.padEnd(13)} → ${line.to.padEnd(5)} ${String(seq).padStart(2)} ✓  ${line.text}`);
}

heading('Three people talk on five devices');
for (const line of actOne) await say(line);

heading('The server is killed while they all talk at once');
const tablet = stage.player("Ben's tablet").device;
await eventually('the tablet has what was said', () => tablet.pushed.length === 3);
tablet.close();
print("  Ben's tablet is closed.");
const before = acknowledged;
const firstAnswer = new Promise<void>((resolve) => {
  onAcknowledged = resolve;
});
const saying = actTwo.map(say);
await firstAnswer;
await server.kill('SIGKILL');
print(`  SIGKILL. ${acknowledged - before} lines were acknowledged, ${stage.unsent} wait in outboxes.`);
saying.push(...interlude.map(say));
print(`  ${interlude.length} more are written while there is no server: ${stage.unsent} wait.`);

heading('It is started again on the same directory');
await server.start();
await Promise.all(saying);
await tablet.reopen();
await tablet.client.live();
print("  Ben's tablet is opened again and has caught up.");
for (const line of actThree) await say(line);

const said = [...actOne, ...actTwo, ...interlude, ...actThree];
// What is pushed comes a moment after its sender is answered; what never comes is shown below.
await eventually('all agree', async () => (await disagreements(stage, said)).length === 0).catch(() => {});

heading('What each device ended with');
for (const { name, title, device } of stage.players) {
  for (const other of partners(name)) {
    print(`${title}, with ${other}`);
    for (const line of transcript(stage, device.timeline(stage.room(name, other)).messages)) print(line);
    print();
  }
}
const wrong = await disagreements(stage, said);
for (const line of wrong) print(`✗ ${line}`);
if (wrong.length === 0) {
  print(`✓ All five devices and the server agree: ${said.length} lines, each once, in one order.`);
}

for (const { device } of stage.players) device.close();
await server.stop();
process.exitCode = wrong.length === 0 ? 0 : 1;
