import { lazy, type ReactNode, Suspense, useEffect, useId, useRef, useState } from 'react';

import { liveViewUrl, panelBase, publicUrl } from '../api/base.ts';
import { access } from '../api/token.ts';
import type { Session } from '../api/types.ts';
import { useStore } from '../hooks/useStore.ts';
import { shortId } from './format.ts';
import { IconButton } from './IconButton.tsx';
import { Icon } from './icons.tsx';

const LiveScreen = lazy(() => import('../vnc/LiveScreen.tsx'));

interface LivePanelProps {
  /** The session as last listed; the one that was opened, when it is not listed any more. */
  session: Session;
  /** Whether the session is still among the living. */
  alive: boolean;
  onClose: () => void;
}

/** A session's screen with what belongs to it: the control switch, a tab of its own, and a way out. */
export function LivePanel({ session, alive, onClose }: LivePanelProps): ReactNode {
  const [control, setControl] = useState(false);
  const titleId = useId();
  const panel = useRef<HTMLElement>(null);
  const controlSwitch = useRef<HTMLInputElement>(null);
  const { token } = useStore(access);
  const { vnc } = session;

  useEffect(() => {
    // The row that was clicked may be far down a long table.
    panel.current?.scrollIntoView({ block: 'nearest' });
    panel.current?.focus({ preventScroll: true });
  }, [session.id]);

  return (
    <section ref={panel} className="live-panel card" aria-labelledby={titleId} tabIndex={-1}>
      <header className="live-panel-header">
        <h2 id={titleId}>
          Live view <code>{shortId(session.id)}</code>
          <span className="quiet"> on {session.worker}</span>
        </h2>
        <label className="switch">
          <input
            ref={controlSwitch}
            type="checkbox"
            role="switch"
            checked={control}
            disabled={!alive}
            onChange={(event) => {
              setControl(event.target.checked);
            }}
          />
          Control
        </label>
        {vnc.http !== null && <OwnTabLink address={vnc.http} />}
        <IconButton icon="close" label="Close live view" onClick={onClose} />
      </header>
      {alive && vnc.ws !== null ? (
        <Suspense fallback={<p className="live-screen-placeholder">Loading the viewer…</p>}>
          <LiveScreen
            sessionId={session.id}
            url={liveViewUrl(vnc.ws, token).href}
            viewOnly={!control}
            onRelease={() => {
              setControl(false);
              controlSwitch.current?.focus();
            }}
          />
        </Suspense>
      ) : (
        <p className="live-screen-placeholder" role="status">
          This session has ended.
        </p>
      )}
      {control && alive && (
        <p className="hint">
          Keyboard and mouse go to the browser over there. Ctrl+Alt+Shift+X gives them back.
        </p>
      )}
    </section>
  );
}

function OwnTabLink({ address }: { address: string }): ReactNode {
  const url = publicUrl(address);
  // With an opener the new tab inherits sessionStorage and with it the token; only on our own site.
  const own = url.origin === panelBase().origin;
  return (
    <a
      className="button small"
      href={url.href}
      target="_blank"
      rel={own ? 'opener' : 'noopener noreferrer'}
    >
      <Icon name="external" />
      Own tab
    </a>
  );
}
