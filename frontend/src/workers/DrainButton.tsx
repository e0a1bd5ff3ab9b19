import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { errorText } from '../api/client.ts';
import type { WorkerStatus } from '../api/types.ts';
import { useDrain } from '../hooks/mutations.ts';
import { notifyError } from '../ui/notices.ts';

/** Takes a worker out of service, or back: its sessions go on either way. Nothing for one that can't be asked. */
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
