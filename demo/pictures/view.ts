import type { Scene } from './scene.js';

/** What is pictured: a state of a page that its user can come to. */
export interface View {
  /** The begin of the picture's name. */
  readonly name: string;
  /**
   * The parts of the code that it shows, as a test finds them in the code: `dialog account`, `message edits`,
   * `list requests`, `entry reset`, `audit events`, `admin users`.
   */
  readonly shows?: readonly string[];
  /** Leads there. */
  readonly show: (scene: Scene) => Promise<unknown>;
  /** Its page is in English only. */
  readonly isEnglish?: boolean;
  /** It exists on one kind of device only. */
  readonly only?: 'desktop' | 'phone';
}
