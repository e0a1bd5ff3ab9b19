import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import type { SessionDefaults, WorkerStatus } from '../api/types.ts';
import { blockListText, blockListTexts, exitText, policyText } from '../sessions/exits.ts';
import { useServerNow } from '../lib/useNow.ts';
import { clockText, momentText, spanText } from '../ui/format.ts';
import { Ago } from '../ui/Ago.tsx';

/** The properties of a worker: address, uptime, versions, defaults for sessions. */
export function WorkerFacts({ worker }: { worker: WorkerStatus }): ReactNode {
  const { t } = useTranslation('fleet');
  const { detail, url } = worker;
  const health = 'error' in detail ? null : detail;
  const facts = health?.facts ?? null;
  const engine = facts?.engine;
  const egress = facts?.egress;
  return (
    <dl className="facts worker-facts">
      <Fact name={t('workers.facts.contact')}>
        <Contact worker={worker} />
      </Fact>
      <Fact name={t('workers.facts.url')}>{url !== null && <code>{url}</code>}</Fact>
      <Fact name={t('workers.facts.uptime')}>
        {facts?.started_at != null && <Uptime since={facts.started_at} />}
      </Fact>
      <Fact name={t('workers.facts.engine')}>
        {engine && `${engine.name} ${engine.version ?? ''}`}
      </Fact>
      <Fact name={t('workers.facts.version')}>{health?.version}</Fact>
      <Fact name={t('workers.facts.playwright')}>{facts?.playwright}</Fact>
      <Fact name={t('workers.facts.node')}>{facts?.node}</Fact>
      <Fact name={t('workers.facts.library')}>{facts?.machines?.library}</Fact>
      <Fact name={t('workers.facts.addons')}>{facts?.machines?.addons.join(', ')}</Fact>
      <Fact name={t('workers.facts.drivers')}>{facts?.drivers}</Fact>
      <Fact name={t('workers.facts.defaults')}>{facts && <Defaults {...facts.defaults} />}</Fact>
      <Fact name={t('workers.facts.exit')}>{egress && exitText(egress.default_proxy)}</Fact>
      <Fact name={t('workers.facts.policy')}>{egress && policyText(egress.policy)}</Fact>
      <Fact name={t('workers.facts.pools')}>
        {egress &&
          (egress.proxies.length > 0 ? egress.proxies.join(', ') : t('workers.facts.noPools'))}
      </Fact>
      <Fact name={t('workers.facts.block')}>
        {egress &&
          blockListTexts(egress.block_lists, (list) =>
            egress.default_block.includes(list)
              ? t('workers.facts.blockDefault', { list: blockListText(list) })
              : blockListText(list),
          )}
      </Fact>
    </dl>
  );
}

/** A property, left out if it is unknown. */
function Fact({ name, children }: { name: string; children: ReactNode }): ReactNode {
  if (children == null || children === false || children === '') return null;
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/**
 * The last contact with a silent worker. A worker that answers does so about every second, so its time is not
 * shown.
 */
function Contact({ worker }: { worker: WorkerStatus }): ReactNode {
  const { t } = useTranslation('fleet');
  const { detail, url, last_contact: last } = worker;
  if (url === null) return t('workers.facts.contactHere');
  if (!('error' in detail)) return t('workers.facts.contactNow');
  return last === null ? t('workers.facts.contactNever') : <Ago timestamp={last} />;
}

function Uptime({ since }: { since: string }): ReactNode {
  const now = useServerNow();
  return (
    <time dateTime={since} title={momentText(since)}>
      {spanText((now - Date.parse(since)) / 1000)}
    </time>
  );
}

function Defaults(defaults: SessionDefaults): ReactNode {
  const { t } = useTranslation('fleet');
  const { idle_ttl_seconds: idle, headless, start_url: startUrl } = defaults;
  const texts = [
    idle !== null && t('workers.facts.idle', { time: clockText(idle) }),
    headless !== null && t(headless ? 'workers.facts.headless' : 'workers.facts.window'),
    startUrl !== null && t('workers.facts.startUrl', { url: startUrl }),
  ].filter((text) => text !== false);
  return texts.length > 0 ? texts.join(', ') : '–';
}
