import type { ReactNode } from 'react';
import { Link } from 'react-router';

/** What an address shows that names no page. */
export function NoSuchPage(): ReactNode {
  return (
    <div className="empty card">
      <h2>There is no such page</h2>
      <p>The address may be mistyped, or come from another version of the panel.</p>
      <Link className="button primary" to="/">
        Go to the sessions
      </Link>
    </div>
  );
}
