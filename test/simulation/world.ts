import { type Random, seeded } from '../support/random.js';
import { Draw } from './draw.js';
import { Timeline } from './timeline.js';
import { type Weather, weather } from './weather.js';

/** What all parts of one simulated run share. Everything in it follows from the seed. */
export class World {
  readonly timeline: Timeline;
  readonly draw: Draw;
  readonly weather: Weather;
  /** What has happened, a line each. */
  readonly lines: string[] = [];

  constructor(seed: number) {
    const random: Random = seeded(seed);
    this.draw = new Draw(random);
    this.timeline = new Timeline(random);
    this.weather = weather(this.draw);
  }

  get now(): number {
    return this.timeline.now;
  }

  /** Nothing goes wrong any more. */
  get isCalm(): boolean {
    return this.now >= this.weather.calmAt;
  }

  /** True with this probability, until it is calm. */
  mishap(probability: number): boolean {
    return probability > 0 && !this.isCalm && this.draw.chance(probability);
  }

  trace(who: string, what: string): void {
    this.lines.push(`${this.now.toFixed(3).padStart(10)}  ${who.padEnd(10)}  ${what}`);
  }
}
