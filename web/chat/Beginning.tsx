import { persona } from '../ui/session.js';

interface Props {
  readonly hasChats: boolean;
  readonly loaded: boolean;
}

/** What is shown while no room is open: where to begin, for whoever has nobody to talk to yet. */
export function Beginning({ hasChats, loaded }: Props) {
  if (!loaded) return <div class="beginning" />;
  if (hasChats)
    return (
      <div class="beginning">
        <h2>Choose a chat</h2>
        <p>Or find somebody by their name.</p>
      </div>
    );
  return (
    <div class="beginning">
      <h2>Say something to somebody</h2>
      <p>
        Nobody here yet? Be two people: open a second window, sign up there under another name, then find each
        other.
      </p>
      <a class="button primary" href={persona === '' ? '/?as=second' : '/'} target="_blank" rel="noopener">
        Open a second window
      </a>
    </div>
  );
}
