import type { ReactNode } from 'react';

import type { Session } from '../api/types.ts';
import { copyToClipboard } from '../hooks/clipboard.ts';
import { clockText, durationText, momentText } from './format.ts';
import { IconButton } from './IconButton.tsx';
import { Labels } from './SessionIdentity.tsx';
import { Ago, IdleCountdown } from './Times.tsx';

/** All that is known of a session, as a list. */
export function SessionFacts({ session }: { session: Session }): ReactNode {
  const { start_url: startUrl, start_url_error: startUrlError, request_id: requestId } = session;
  const alive = session.status !== 'DEAD';
  return (
    <section className="card page-card" aria-labelledby="facts-title">
      <h3 id="facts-title">Session</h3>
      <dl className="facts">
        <Fact name="Id">
          <Copyable text={session.id} what="Session id" />
        </Fact>
        <Fact name="Worker">{session.worker}</Fact>
        <Fact name="Engine">
          {session.browser} {session.browser_version ?? ''}
        </Fact>
        <Fact name="Screen">{screenText(session)}</Fact>
        <Fact name="Labels">
          <Labels labels={session.labels} />
        </Fact>
        <Fact name="Created">
          {momentText(session.created_at)}{' '}
          <span className="quiet">
            (<Ago timestamp={session.created_at} />)
          </span>
        </Fact>
        <Fact name="Last activity">
          <Ago timestamp={session.last_seen_at} />
        </Fact>
        <Fact name="Idle TTL">
          {session.status === 'READY' && (
            <>
              <IdleCountdown session={session} /> of{' '}
            </>
          )}
          {clockText(session.idle_ttl_seconds)}
        </Fact>
        {!alive && session.ended_at && (
          <Fact name="Lived">{durationText(session.created_at, session.ended_at)}</Fact>
        )}
        {alive && <Fact name="Attached clients">{session.attached}</Fact>}
        <Fact name="Restarts">{session.restarts}</Fact>
        <Fact name="On a crash">
          {session.on_crash === 'restart' ? 'The browser is restarted' : 'The session ends'}
        </Fact>
        <Fact name="Contexts of a client that leaves">
          {session.contexts === 'keep' ? 'Kept' : 'Discarded'}
        </Fact>
        <Fact name="Start URL">
          {startUrl ? (
            <>
              <span>{startUrl}</span>{' '}
              <span className="quiet">(waits for: {session.start_url_wait})</span>
            </>
          ) : (
            <span className="quiet">–</span>
          )}
          {startUrlError && <p className="problem">{startUrlError}</p>}
        </Fact>
        {requestId && (
          <Fact name="Request">
            <Copyable text={requestId} what="Request id" />
          </Fact>
        )}
      </dl>
    </section>
  );
}

function screenText({ status, headless, vnc_enabled: watchable, vnc }: Session): string {
  if (headless) return 'None (headless)';
  // Whether it could be watched is not remembered.
  if (status === 'DEAD') return 'With a window';
  if (!watchable) return 'Without a live view';
  return vnc.password_protected ? 'With a live view, password-protected' : 'With a live view';
}

function Fact({ name, children }: { name: string; children: ReactNode }): ReactNode {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Copyable({ text, what }: { text: string; what: string }): ReactNode {
  return (
    <span className="copyable">
      <code>{text}</code>
      <IconButton
        icon="copy"
        label={`Copy ${what.toLowerCase()}`}
        onClick={() => void copyToClipboard(text, what)}
      />
    </span>
  );
}
