import { type ReactNode, useEffect, useId, useRef } from 'react';
import { useTranslation } from 'react-i18next';

import type { EgressFacts } from '../api/types.ts';
import { blockListText } from '../sessions/exits.ts';

interface BlockFieldsProps {
  /** The chosen lists; null for the worker's default. */
  chosen: readonly string[] | null;
  /** What the eligible workers offer. */
  facts: readonly EgressFacts[];
  problem?: string | undefined;
  onChange: (chosen: readonly string[] | null) => void;
}

/** The block lists of a new session. */
export function BlockFields({ chosen, facts, problem, onChange }: BlockFieldsProps): ReactNode {
  const { t } = useTranslation('network');
  const note = useId();
  const offered = new Set([...facts.flatMap((one) => one.block_lists), ...(chosen ?? [])]);
  const lists = [...offered].sort((a, b) => a.localeCompare(b));
  if (lists.length === 0) return null;
  const defaultOf = (list: string) => facts.filter((one) => one.default_block.includes(list));
  const isOn = (list: string) =>
    chosen?.includes(list) ?? (facts.length > 0 && defaultOf(list).length === facts.length);
  // Some workers have it by default and others don't.
  const isMixed = (list: string) => chosen === null && !isOn(list) && defaultOf(list).length > 0;
  const hint = () => {
    if (chosen !== null) return t('blocked.hint');
    return lists.some(isMixed) ? t('blocked.hintVaries') : t('blocked.hintDefault');
  };
  return (
    <fieldset className="label-fields" aria-describedby={note}>
      <legend>{t('blocked.label')}</legend>
      <div className="block-lists">
        {lists.map((list) => (
          <label key={list} className="check-line">
            <Check
              checked={isOn(list)}
              mixed={isMixed(list)}
              invalid={problem !== undefined}
              note={note}
              onChange={(on) => {
                const others = lists.filter((other) => other !== list && isOn(other));
                onChange(on ? [...others, list].sort() : others);
              }}
            />
            {blockListText(list)}
          </label>
        ))}
        {chosen !== null && (
          <button
            type="button"
            className="button small"
            onClick={() => {
              onChange(null);
            }}
          >
            {t('blocked.reset')}
          </button>
        )}
      </div>
      <p id={note} className={problem === undefined ? 'hint' : 'problem'}>
        {problem ?? hint()}
      </p>
    </fieldset>
  );
}

interface CheckProps {
  checked: boolean;
  mixed: boolean;
  invalid: boolean;
  /** The id of the text that describes it. */
  note: string;
  onChange: (checked: boolean) => void;
}

/** A checkbox with a third state, which has no attribute in HTML. */
function Check({ checked, mixed, invalid, note, onChange }: CheckProps): ReactNode {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (input.current) input.current.indeterminate = mixed;
  }, [mixed]);
  return (
    <input
      ref={input}
      type="checkbox"
      checked={checked}
      aria-invalid={invalid}
      aria-describedby={invalid ? note : undefined}
      onChange={(event) => {
        onChange(event.target.checked);
      }}
    />
  );
}
