import { type ReactNode, useId } from 'react';

import { access } from '../api/token.ts';
import { useStore } from '../hooks/useStore.ts';

/** Asks for the access token that the API wants. */
export function TokenForm({ onAccept }: { onAccept: () => void }): ReactNode {
  const id = useId();
  const { token } = useStore(access);
  return (
    <form
      className="card token-form"
      aria-labelledby={`${id}-title`}
      onSubmit={(event) => {
        event.preventDefault();
        const typed = new FormData(event.currentTarget).get('token');
        if (typeof typed !== 'string' || typed.trim() === '') return;
        access.accept(typed.trim());
        onAccept();
      }}
    >
      <h2 id={`${id}-title`}>Access token</h2>
      {token === null ? (
        <p>This fleet is protected. Its operator set an access token; enter it to go on.</p>
      ) : (
        <p className="problem" role="alert">
          The fleet did not accept this token.
        </p>
      )}
      <div className="field">
        <label htmlFor={`${id}-token`}>Token</label>
        <input
          id={`${id}-token`}
          name="token"
          type="password"
          autoComplete="current-password"
          required
        />
        <p className="hint">It is kept in this tab only and forgotten when the tab is closed.</p>
      </div>
      <button type="submit" className="button primary">
        Continue
      </button>
    </form>
  );
}
