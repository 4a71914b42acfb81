import { type Random, seeded } from '../support/random.js';
import { type FaultPlan, faultPlan } from './faultPlan.js';
import { RandomSource } from './randomSource.js';
import { Timeline } from './timeline.js';

/** The state that all parts of one simulated run share. Everything in it follows from the seed. */
export class World {
  readonly timeline: Timeline;
  readonly random: RandomSource;
  readonly faultPlan: FaultPlan;
  /** The events so far, one line each. */
  readonly lines: string[] = [];

  constructor(seed: number) {
    const random: Random = seeded(seed);
    this.random = new RandomSource(random);
    this.timeline = new Timeline(random);
    this.faultPlan = faultPlan(this.random);
  }

  get now(): number {
    return this.timeline.now;
  }

  /** Whether the last fault is over. */
  get isCalm(): boolean {
    return this.now >= this.faultPlan.calmAt;
  }

  /** True with this probability, until the last fault is over. */
  fault(probability: number): boolean {
    return probability > 0 && !this.isCalm && this.random.chance(probability);
  }

  trace(who: string, what: string): void {
    this.lines.push(`${this.now.toFixed(3).padStart(10)}  ${who.padEnd(10)}  ${what}`);
  }
}
