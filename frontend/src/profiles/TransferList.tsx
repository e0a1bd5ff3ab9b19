import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { errorText } from '../api/client.ts';
import { useStore } from '../lib/useStore.ts';
import { bytesText } from '../ui/format.ts';
import { IconButton } from '../ui/IconButton.tsx';
import { isOver, type Transfer, transfers } from './transfers.ts';

/** The exports and imports, with their progress. */
export function TransferList(): ReactNode {
  const { t } = useTranslation('profiles');
  const list = useStore(transfers.list);
  if (list.length === 0) return null;
  return (
    <ul className="transfers card" aria-label={t('transfers.label')}>
      {list.map((transfer) => (
        <TransferRow key={transfer.id} transfer={transfer} />
      ))}
    </ul>
  );
}

function TransferRow({ transfer }: { transfer: Transfer }): ReactNode {
  const { t } = useTranslation('profiles');
  const { id, kind, name, phase, bytes, total, error } = transfer;
  const amount = bytesText(bytes);
  const sent = phase === 'running' && total !== null && bytes >= total;
  const text = () => {
    if (phase === 'failed') return errorText(error);
    if (phase === 'done') return t(`transfers.${kind}.done`, { amount });
    if (phase === 'waiting') return t('transfers.waiting');
    if (sent) return t('transfers.unpacking');
    return total === null ? amount : t('transfers.of', { amount, total: bytesText(total) });
  };
  return (
    <li>
      <span className="transfer-name">{t(`transfers.${kind}.title`, { name })}</span>
      {!isOver(transfer) && (
        <progress
          aria-label={t(`transfers.${kind}.title`, { name })}
          max={total ?? 1}
          // How large an export becomes is not known before its end; the server unpacks an import after it has come.
          value={total === null || sent || phase === 'waiting' ? undefined : bytes}
        />
      )}
      <span
        className={phase === 'failed' ? 'problem' : 'quiet'}
        role={isOver(transfer) ? 'status' : undefined}
      >
        {text()}
      </span>
      <IconButton
        icon="close"
        label={
          isOver(transfer) ? t('transfers.dismiss', { name }) : t('transfers.cancel', { name })
        }
        onClick={() => {
          transfers.dismiss(id);
        }}
      />
    </li>
  );
}
