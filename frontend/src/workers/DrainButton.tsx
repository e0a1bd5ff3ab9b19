import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { errorText } from '../api/client.ts';
import type { WorkerStatus } from '../api/types.ts';
import { useDrain } from '../hooks/mutations.ts';
import { notifyError } from '../ui/notices.ts';

/** Drains a worker or ends the drain; its sessions continue. Hidden for a worker that does not answer. */
export function DrainButton({ worker }: { worker: WorkerStatus }): ReactNode {
  const { t } = useTranslation('fleet');
  const { name, draining, detail } = worker;
  const { mutate, isPending } = useDrain(name);
  if ('error' in detail) return null;
  return (
    <button
      type="button"
      className="button"
      disabled={isPending}
      onClick={() => {
        mutate(!draining, {
          onError: (error) => {
            notifyError(t('workers.drain.failed', { worker: name, reason: errorText(error) }));
          },
        });
      }}
    >
      {t(draining ? 'workers.drain.end' : 'workers.drain.begin')}{' '}
      <span className="visually-hidden">{t('workers.of', { worker: name })}</span>
    </button>
  );
}
