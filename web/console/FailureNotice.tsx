import { describeError } from './consoleApi.js';

/** Says why a request of a console has failed. */
export function FailureNotice({ error }: { readonly error: unknown }) {
  return (
    <p class="notice bad" role="alert">
      {describeError(error)}
    </p>
  );
}
