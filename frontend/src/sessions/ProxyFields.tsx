import { type ReactNode, useEffect, useId, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { WorkerStatus } from '../api/types.ts';
import { inFields, type ProxyDraft, splitAddress } from '../live/proxyDraft.ts';
import { Field } from '../ui/Field.tsx';
import { defaultExitText, egressFacts, poolsOf } from './exits.ts';
import { ProxyCheck } from './ProxyCheck.tsx';
import { ownProxyProblem } from './proxyProblem.ts';

/** An address that nobody has. */
const SAMPLE_PROXY = 'socks5://proxy.example:1080';

interface ProxyFieldsProps {
  draft: ProxyDraft;
  /** The workers on which the session may run: theirs are the pools and the default. */
  workers: readonly WorkerStatus[];
  /** The worker that the form names; empty if any of them will do. */
  worker: string;
  /** The profile whose proxy is the default, and the text of that choice; without it the worker's is. */
  profile?: { name: string; exit: string } | null;
  /** What is wrong, shown where it can be changed. */
  problem?: string | undefined;
  onChange: (draft: ProxyDraft) => void;
}

/** The value of a choice: pools have a prefix, because they may have any name. */
const valueOf = ({ kind, pool }: Pick<ProxyDraft, 'kind' | 'pool'>): string =>
  kind === 'pool' ? `pool:${pool}` : kind;

/** The field that a problem of an own proxy is about. */
function fieldOf(problem: string): 'server' | 'username' | 'bypass' {
  if (problem.includes("'bypass'")) return 'bypass';
  return problem.startsWith('proxy: must have a user name') ? 'username' : 'server';
}

/** Chooses a proxy, which can be checked: the default, none, a pool, or an own one with its credentials. */
export function ProxyFields(props: ProxyFieldsProps): ReactNode {
  const { draft, workers, worker, profile = null, onChange } = props;
  const { t } = useTranslation('network');
  const title = useId();
  const fields = useRef<HTMLDivElement>(null);
  // How often a check was requested of incomplete fields.
  const [refusals, setRefusals] = useState(0);
  const mistake = ownProxyProblem(draft);
  const problem = props.problem ?? (refusals > 0 ? mistake : undefined);
  const pools = poolsOf(workers);
  const own = draft.kind === 'own';
  // A pool that is gone stays visible until another proxy is chosen.
  const gone = draft.kind === 'pool' && !pools.some(({ name }) => name === draft.pool);
  const listed = gone ? [{ name: draft.pool, only: null }, ...pools] : pools;
  const problemOf = (field: ReturnType<typeof fieldOf>) =>
    own && problem !== undefined && fieldOf(problem) === field ? problem : undefined;
  const change = (part: Partial<ProxyDraft>) => {
    onChange({ ...draft, ...part });
  };
  useEffect(() => {
    if (refusals === 0) return;
    fields.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
  }, [refusals]);

  return (
    <div ref={fields} className="proxy-fields">
      <Field label={t('field.label')} hint={t('field.hint')} problem={own ? undefined : problem}>
        {(attributes) => (
          <select
            {...attributes}
            value={valueOf(draft)}
            onChange={({ target: { value } }) => {
              if (value.startsWith('pool:')) change({ kind: 'pool', pool: value.slice(5) });
              else if (value === 'direct' || value === 'own') change({ kind: value });
              else change({ kind: '' });
            }}
          >
            <option value="">{profile?.exit ?? defaultExitText(workers.map(egressFacts))}</option>
            <option value="direct">{t('field.direct')}</option>
            {listed.length > 0 && (
              <optgroup label={t('field.pools')}>
                {listed.map(({ name, only }) => (
                  <option key={name} value={valueOf({ kind: 'pool', pool: name })}>
                    {only === null
                      ? name
                      : t('field.poolOn', { pool: name, workers: only.join(', ') })}
                  </option>
                ))}
              </optgroup>
            )}
            <option value="own">{t('field.own')}</option>
          </select>
        )}
      </Field>
      {own && (
        <div role="group" aria-labelledby={title} className="own-proxy">
          <span id={title} className="visually-hidden">
            {t('field.ownTitle')}
          </span>
          <Field
            label={t('field.server')}
            hint={t('field.serverHint')}
            problem={problemOf('server')}
          >
            {(attributes) => (
              <input
                {...attributes}
                inputMode="url"
                autoCapitalize="none"
                autoComplete="off"
                spellCheck={false}
                placeholder={SAMPLE_PROXY}
                value={draft.server}
                onChange={(event) => {
                  change({ server: event.target.value });
                }}
                onPaste={(event) => {
                  const address = splitAddress(event.clipboardData.getData('text'));
                  if (address === null) return;
                  // The password must not be readable on the screen.
                  event.preventDefault();
                  change(address);
                }}
                onBlur={() => {
                  const separated = inFields(draft);
                  if (separated !== draft) onChange(separated);
                }}
              />
            )}
          </Field>
          <div className="columns">
            <Field label={t('field.username')} problem={problemOf('username')}>
              {(attributes) => (
                <input
                  {...attributes}
                  autoCapitalize="none"
                  autoComplete="off"
                  spellCheck={false}
                  value={draft.username}
                  onChange={(event) => {
                    change({ username: event.target.value });
                  }}
                />
              )}
            </Field>
            <Field label={t('field.password')}>
              {(attributes) => (
                <input
                  {...attributes}
                  type="password"
                  // Neither the panel's own password nor one to remember for it.
                  autoComplete="new-password"
                  value={draft.password}
                  onChange={(event) => {
                    change({ password: event.target.value });
                  }}
                />
              )}
            </Field>
          </div>
          <Field
            label={t('field.bypass')}
            hint={t('field.bypassHint')}
            problem={problemOf('bypass')}
          >
            {(attributes) => (
              <input
                {...attributes}
                autoCapitalize="none"
                autoComplete="off"
                spellCheck={false}
                value={draft.bypass}
                onChange={(event) => {
                  change({ bypass: event.target.value });
                }}
              />
            )}
          </Field>
        </div>
      )}
      <ProxyCheck
        draft={draft}
        workers={workers}
        worker={worker}
        profile={profile?.name ?? null}
        onStart={() => {
          if (mistake !== undefined) setRefusals(refusals + 1);
          return mistake === undefined;
        }}
      />
    </div>
  );
}
