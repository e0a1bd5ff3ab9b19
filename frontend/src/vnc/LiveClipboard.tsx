import { type ReactNode, useId } from 'react';

import { copyToClipboard } from '../hooks/clipboard.ts';
import { inform } from '../hooks/useNotices.ts';

interface LiveClipboardProps {
  /** What was copied last over there; null if nothing was. */
  remoteText: string | null;
  /** Whether texts can be sent: the view is connected and controlled. */
  canSend: boolean;
  onSend: (text: string) => void;
}

/** The two clipboards, here and over there, side by side. */
export function LiveClipboard({ remoteText, canSend, onSend }: LiveClipboardProps): ReactNode {
  const id = useId();
  return (
    <div className="live-clipboard" role="group" aria-label="Clipboard">
      <div className="field">
        <label htmlFor={`${id}-from`}>Copied in the session</label>
        <textarea
          id={`${id}-from`}
          readOnly
          rows={3}
          value={remoteText ?? ''}
          placeholder="What is copied there while you have control shows up here."
        />
        <button
          type="button"
          className="button small"
          disabled={remoteText === null}
          onClick={() => void copyToClipboard(remoteText ?? '', 'Text of the session')}
        >
          Copy here
        </button>
      </div>
      <form
        className="field"
        onSubmit={(event) => {
          event.preventDefault();
          const text = new FormData(event.currentTarget).get('text');
          if (typeof text !== 'string' || text === '') return;
          // A form's texts end their lines as on paper; a page over there gets what was typed here.
          onSend(text.replaceAll('\r\n', '\n'));
          inform('The text is on the session’s clipboard: paste it there.');
        }}
      >
        <label htmlFor={`${id}-to`}>Send to the session</label>
        <textarea
          id={`${id}-to`}
          name="text"
          rows={3}
          placeholder={canSend ? 'Type or paste a text.' : 'Take control to send a text.'}
        />
        <button type="submit" className="button small" disabled={!canSend}>
          Send
        </button>
      </form>
    </div>
  );
}
