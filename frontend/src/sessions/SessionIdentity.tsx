import type { ReactNode } from 'react';

import type { Session } from '../api/types.ts';
import { sessionPath } from './sessionPath.ts';
import { copyToClipboard } from '../ui/clipboard.ts';
import { shortId } from './sessionText.ts';
import { IconButton } from '../ui/IconButton.tsx';
import { useTexts } from '../i18n/useTexts.ts';

/** A session's short id with a copy button, and its start URL or the error of loading it. */
export function SessionIdentity({ session }: { session: Session }): ReactNode {
  const t = useTexts('sessions');
  const { id, start_url: startUrl, start_url_error: startUrlError } = session;
  return (
    <div className="identity">
      <span className="identity-id">
        {/* Not the router's Link, which queries the document for a base address on each render. */}
        <a href={`#${sessionPath(session)}`}>
          <code title={id}>{shortId(id)}</code>
        </a>
        <IconButton
          icon="copy"
          label={t('actions.copyId', { id: shortId(id) })}
          onClick={() => void copyToClipboard(id, t('actions.id'))}
        />
      </span>
      {/* A row has room for one of the two, and the error names the URL. */}
      {startUrlError ? (
        <span className="identity-url problem" title={startUrlError}>
          {startUrlError}
        </span>
      ) : (
        startUrl && (
          <span className="identity-url" title={startUrl}>
            {startUrl}
          </span>
        )
      )}
    </div>
  );
}

/** A session's labels as `key=value` chips. */
export function Labels({ labels }: { labels: Record<string, string> }): ReactNode {
  const entries = Object.entries(labels);
  if (entries.length === 0) return <span className="quiet">–</span>;
  return (
    <ul className="labels">
      {entries.map(([key, value]) => (
        <li key={key} title={`${key}=${value}`}>
          {key}={value}
        </li>
      ))}
    </ul>
  );
}
