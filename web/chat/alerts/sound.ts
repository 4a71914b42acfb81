import { readText, writeText } from '../../ui/browserStore.js';

const KEY = 'parley.sound';
/** Two short tones, the second a fifth above the first. */
const TONES_HZ = [587, 880] as const;
const TONE_S = 0.12;
const LOUDNESS = 0.15;
/** Many messages at once sound like one. */
const PAUSE_MS = 1500;

/** Whether messages make a sound in this browser; on until the user turns it off. */
export const isSoundOn = (): boolean => readText(KEY) !== 'off';

export const setSound = (isOn: boolean): void => writeText(KEY, isOn ? 'on' : 'off');

let context: AudioContext | undefined;
let playedAt = Number.NEGATIVE_INFINITY;

/** Plays the sound of a message, if it is on. Browsers allow it after the user has used the page once. */
export function playSound(): void {
  if (!isSoundOn() || !navigator.userActivation?.hasBeenActive) return;
  if (performance.now() - playedAt < PAUSE_MS) return;
  playedAt = performance.now();
  try {
    context ??= new AudioContext();
    const begun = context;
    begun.resume().then(
      () => {
        for (const [i, frequency] of TONES_HZ.entries())
          playTone(begun, frequency, begun.currentTime + i * TONE_S);
      },
      () => {}, // The device has no sound.
    );
  } catch {
    // The browser has no sound.
  }
}

function playTone(to: AudioContext, frequency: number, at: number): void {
  const gain = to.createGain();
  gain.gain.setValueAtTime(LOUDNESS, at);
  gain.gain.exponentialRampToValueAtTime(0.001, at + TONE_S * 2);
  const tone = new OscillatorNode(to, { frequency });
  tone.connect(gain).connect(to.destination);
  tone.start(at);
  tone.stop(at + TONE_S * 2);
}
