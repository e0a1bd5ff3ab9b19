import { type ReactNode, useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { EgressReport, EgressTotals, Session } from '../api/types.ts';
import { useStore } from '../lib/useStore.ts';
import { bytesText, byteRateText } from '../ui/format.ts';
import { useInView } from '../ui/useInView.ts';
import { ChangeExitDialog } from './ChangeExitDialog.tsx';
import { EgressPoller, type Rate } from './egressPoller.ts';
import { blockListTexts, exitKey, exitText, policyText, refusalText } from './exits.ts';

/** What a session's browser connects to, and through which exit, which can be changed. */
export function SessionNetwork({ session }: { session: Session }): ReactNode {
  const { t } = useTranslation('network');
  const [poller] = useState(() => new EgressPoller(session));
  const { report, rate, problem } = useStore(poller.state);
  const [changing, setChanging] = useState(false);
  const card = useRef<HTMLElement>(null);
  const inView = useInView(card);
  const { status, stale, egress, proxy } = session;
  const counted = egress !== null;
  const running = counted && !stale && (status === 'READY' || status === 'INIT');
  // A change is shown at once.
  const exit = exitKey(proxy);
  const polling = running && inView;

  useEffect(() => {
    if (!polling) return;
    poller.start();
    return () => {
      poller.stop();
    };
  }, [poller, polling, exit]);

  const alive = status !== 'DEAD';
  // What was counted last: an ended session keeps it, and its last report may be older.
  const totals = alive ? (report?.totals ?? egress) : egress;
  return (
    <section ref={card} className="card page-card network" aria-labelledby="network-title">
      <div className="network-head">
        <h3 id="network-title">{t('card.title')}</h3>
        {running && status === 'READY' && (
          <button
            type="button"
            className="button small"
            onClick={() => {
              setChanging(true);
            }}
          >
            {t('card.change')}
          </button>
        )}
      </div>
      {totals === null ? (
        <p className="quiet">{alive ? t('card.unknown') : t('card.unknownEnded')}</p>
      ) : (
        <Figures session={session} totals={totals} report={report} rate={rate} />
      )}
      {alive && problem !== null && (
        <p className="problem" role="alert">
          {t('card.failed', { reason: problem })}
        </p>
      )}
      {changing && (
        <ChangeExitDialog
          session={session}
          onClose={() => {
            setChanging(false);
          }}
        />
      )}
    </section>
  );
}

interface FiguresProps {
  session: Session;
  totals: EgressTotals;
  report: EgressReport | null;
  rate: Rate | null;
}

function Figures({ session, totals, report, rate }: FiguresProps): ReactNode {
  const { t } = useTranslation('network');
  const alive = session.status !== 'DEAD';
  const { proxy, block } = session;
  const refused = Object.entries(totals.refused).sort(([, a], [, b]) => b - a);
  const traffic = [
    { name: t('card.down'), now: rate?.down, total: totals.bytes_down },
    { name: t('card.up'), now: rate?.up, total: totals.bytes_up },
  ];
  return (
    <div className="network-figures">
      <dl className="facts">
        <div>
          <dt>{t('card.exit')}</dt>
          <dd>{proxy?.server != null ? <code>{proxy.server}</code> : exitText(proxy)}</dd>
        </div>
        {traffic.map(({ name, now, total }) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd className="traffic">
              {alive ? (
                <>
                  <strong>{now === undefined ? t('card.noRate') : byteRateText(now)}</strong>
                  <span className="quiet">{t('card.total', { value: bytesText(total) })}</span>
                </>
              ) : (
                bytesText(total)
              )}
            </dd>
          </div>
        ))}
        <div>
          <dt>{t('card.open')}</dt>
          <dd>{t('card.openOf', { open: totals.open_connections, count: totals.connections })}</dd>
        </div>
        {report && (
          <div>
            <dt>{t('card.policy')}</dt>
            <dd>{policyText(report.policy)}</dd>
          </div>
        )}
        <div>
          <dt>{t('card.block')}</dt>
          <dd>{block.length > 0 ? blockListTexts(block) : t('blocked.none')}</dd>
        </div>
        <div>
          <dt>{t('card.refused')}</dt>
          <dd>
            {refused.length === 0 ? (
              t('card.noneRefused')
            ) : (
              <ul className="refusals">
                {refused.map(([reason, count]) => (
                  <li key={reason}>
                    <span>{refusalText(reason)}</span> <span className="number">{count}</span>
                  </li>
                ))}
              </ul>
            )}
          </dd>
        </div>
      </dl>
      {alive && report && <Hosts hosts={report.hosts} />}
    </div>
  );
}

function Hosts({ hosts }: Pick<EgressReport, 'hosts'>): ReactNode {
  const { t } = useTranslation('network');
  if (hosts.length === 0) return <p className="quiet">{t('card.noHosts')}</p>;
  return (
    <table className="hosts">
      <caption>{t('card.hosts')}</caption>
      <thead>
        <tr>
          <th scope="col">{t('card.host')}</th>
          <th scope="col">{t('card.down')}</th>
          <th scope="col">{t('card.up')}</th>
          <th scope="col" title={t('card.connections')}>
            {t('card.connectionsShort')}
          </th>
        </tr>
      </thead>
      <tbody>
        {hosts.map(({ host, connections, bytes_down: down, bytes_up: up }) => (
          <tr key={host}>
            <th scope="row">{host}</th>
            <td>{bytesText(down)}</td>
            <td>{bytesText(up)}</td>
            <td>{connections}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
