import { type ReactNode, useEffect, useId, useState } from 'react';

import type { WorkerStatus } from '../api/types.ts';
import { useFleet } from '../hooks/fleet.ts';
import { Icon } from './icons.tsx';

function summary(workers: readonly WorkerStatus[]): string {
  const { length } = workers;
  if (length === 0) return 'no workers';
  const healthy = workers.filter((worker) => worker.healthy).length;
  if (healthy < length) return `${healthy} of ${length} workers`;
  return length === 1 ? '1 worker' : `${length} workers`;
}

/** The fleet's health in one word, and every worker's checks on demand. */
export function FleetHealth(): ReactNode {
  const { known, workers } = useFleet();
  const [open, setOpen] = useState(false);
  const detailsId = useId();

  useEffect(() => {
    if (!open) return;
    const closeOnEscape = (event: KeyboardEvent) => {
      if (event.key === 'Escape') setOpen(false);
    };
    document.addEventListener('keydown', closeOnEscape);
    return () => {
      document.removeEventListener('keydown', closeOnEscape);
    };
  }, [open]);

  if (!known) return null;
  const status =
    workers.length > 0 && workers.every((worker) => worker.healthy) ? 'ok' : 'degraded';
  return (
    <div className="fleet">
      <button
        type="button"
        className={`fleet-summary ${status}`}
        aria-expanded={open}
        aria-controls={detailsId}
        onClick={() => {
          setOpen(!open);
        }}
      >
        <span className="dot" aria-hidden="true" />
        <span>
          Fleet {status} <span className="fleet-count">· {summary(workers)}</span>
        </span>
        <Icon name="chevron" />
      </button>
      {open && (
        <section id={detailsId} className="fleet-details card" aria-label="Workers">
          {workers.length === 0 && (
            <p>
              The control role knows no workers. Name them in <code>CONTROL_WORKERS</code>.
            </p>
          )}
          {workers.map((worker) => (
            <Worker key={worker.name} worker={worker} />
          ))}
        </section>
      )}
    </div>
  );
}

function Worker({ worker }: { worker: WorkerStatus }): ReactNode {
  const { name, healthy, detail, supports_vnc: supportsVnc } = worker;
  return (
    <article className="worker">
      <h3>
        {name}
        <span className={healthy ? 'badge good' : 'badge bad'}>
          {healthy ? 'healthy' : 'unhealthy'}
        </span>
        {supportsVnc && <span className="badge">live view</span>}
      </h3>
      {'error' in detail ? (
        <p className="problem">{detail.error}</p>
      ) : (
        <dl>
          <div>
            <dt>version</dt>
            <dd>{detail.version}</dd>
          </div>
          {Object.entries(detail.checks).map(([check, text]) => (
            <div key={check}>
              <dt>{check}</dt>
              <dd>{text}</dd>
            </div>
          ))}
        </dl>
      )}
    </article>
  );
}
