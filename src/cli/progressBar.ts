import { Presets, SingleBar } from 'cli-progress';
import type { OnProgress, Progress } from '../audit/progress.js';

/** Draws how far a work is. */
export interface ProgressBar {
  readonly onProgress?: OnProgress;
  /** Clears it. */
  stop(): void;
}

/** On standard error, and on a terminal only: what is written to a file stays without it. */
export function progressBar(stream: NodeJS.WriteStream = process.stderr): ProgressBar {
  if (!stream.isTTY) return { stop() {} };
  const format = ' {phase} [{bar}] {percentage}% | {speed} a second | {left} left';
  const bar = new SingleBar({ format, stream, clearOnComplete: true, hideCursor: true }, Presets.legacy);
  let phase: string | undefined;
  return {
    onProgress(progress) {
      const { done, total } = progress;
      if (progress.phase !== phase) {
        if (phase !== undefined) bar.stop();
        phase = progress.phase;
        bar.start(total, done, shown(progress));
      } else bar.update(done, shown(progress));
    },
    stop: () => bar.stop(),
  };
}

function shown({ phase, perSecond, remainingMs }: Progress): Record<string, string> {
  const left = remainingMs === undefined ? '?' : duration(Math.ceil(remainingMs / 1000));
  return { phase, speed: Math.round(perSecond).toLocaleString('en'), left };
}

/** Such as `1:02:03`, or `0:07`. */
function duration(seconds: number): string {
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const tail = String(seconds % 60).padStart(2, '0');
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, '0')}:${tail}` : `${minutes}:${tail}`;
}
