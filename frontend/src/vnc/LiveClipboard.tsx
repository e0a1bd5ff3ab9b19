import { type ReactNode, useId } from 'react';
import { useTranslation } from 'react-i18next';

import { unitText } from '../ui/format.ts';
import { copyToClipboard } from '../ui/clipboard.ts';
import { notifyError, notifyInfo } from '../ui/notices.ts';
import { CLIPBOARD_LIMIT, clipboardBytes } from './clipboard.ts';

interface LiveClipboardProps {
  /** The last text copied in the session; null if there was none. */
  remoteText: string | null;
  /** Whether texts can be sent: the view is connected and has control. */
  canSend: boolean;
  onSend: (text: string) => void;
}

/** The session's clipboard and a text to send to it, side by side. */
export function LiveClipboard({ remoteText, canSend, onSend }: LiveClipboardProps): ReactNode {
  const { t } = useTranslation('live');
  const id = useId();
  return (
    <div className="live-clipboard" role="group" aria-label={t('clipboard.label')}>
      <div className="field">
        <label htmlFor={`${id}-from`}>{t('clipboard.remote')}</label>
        <textarea
          id={`${id}-from`}
          readOnly
          rows={3}
          value={remoteText ?? ''}
          placeholder={t('clipboard.remoteEmpty')}
        />
        <button
          type="button"
          className="button small"
          disabled={remoteText === null}
          onClick={() => void copyToClipboard(remoteText ?? '', t('clipboard.copied'))}
        >
          {t('clipboard.copy')}
        </button>
      </div>
      <form
        className="field"
        onSubmit={(event) => {
          event.preventDefault();
          const text = new FormData(event.currentTarget).get('text');
          if (typeof text !== 'string' || text === '') return;
          // Forms submit CRLF line endings; the session gets the text as it was typed.
          const typed = text.replaceAll('\r\n', '\n');
          const bytes = clipboardBytes(typed);
          if (bytes > CLIPBOARD_LIMIT) {
            notifyError(
              t('clipboard.tooLong', {
                size: unitText(Math.ceil(bytes / 1024), 'kilobyte'),
                limit: unitText(CLIPBOARD_LIMIT / 1024, 'kilobyte'),
              }),
            );
            return;
          }
          onSend(typed);
          notifyInfo(t('clipboard.sent'));
        }}
      >
        <label htmlFor={`${id}-to`}>{t('clipboard.local')}</label>
        <textarea
          id={`${id}-to`}
          name="text"
          rows={3}
          placeholder={canSend ? t('clipboard.type') : t('clipboard.noControl')}
        />
        <button type="submit" className="button small" disabled={!canSend}>
          {t('clipboard.send')}
        </button>
      </form>
    </div>
  );
}
