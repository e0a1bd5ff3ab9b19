import { type ReactNode, useId, useRef } from 'react';
import { useTranslation } from 'react-i18next';

import type { LabelRow } from '../live/launchDraft.ts';
import { IconButton } from '../ui/IconButton.tsx';
import { Icon } from '../ui/icons.tsx';

interface LabelFieldsProps {
  rows: LabelRow[];
  /** Problems of single labels, by row number; `problem` is about all of them. */
  problems: Record<number, string>;
  problem?: string | undefined;
  onChange: (rows: LabelRow[]) => void;
}

/** The labels of a new session: a key and a value per row. */
export function LabelFields(props: LabelFieldsProps): ReactNode {
  const { rows, problems, problem: wholeProblem, onChange } = props;
  const { t } = useTranslation('launch');
  const id = useId();
  const list = useRef<HTMLFieldSetElement>(null);
  const change = (changed: LabelRow) => {
    onChange(rows.map((known) => (known.row === changed.row ? changed : known)));
  };
  return (
    <fieldset className="label-fields" ref={list}>
      <legend>{t('labels')}</legend>
      {rows.map((label, index) => {
        const problem = problems[label.row];
        const problemId = problem ? `${id}-${label.row}` : undefined;
        return (
          <div className="label-row" key={label.row}>
            <input
              aria-label={t('labelKey', { number: index + 1 })}
              aria-invalid={problem !== undefined}
              aria-describedby={problemId}
              placeholder={t('keyPlaceholder')}
              value={label.key}
              onChange={(event) => {
                change({ ...label, key: event.target.value });
              }}
            />
            <span aria-hidden="true">=</span>
            <input
              aria-label={t('labelValue', { number: index + 1 })}
              placeholder={t('valuePlaceholder')}
              value={label.value}
              onChange={(event) => {
                change({ ...label, value: event.target.value });
              }}
            />
            <IconButton
              icon="close"
              label={t('removeLabel', { number: index + 1 })}
              onClick={() => {
                onChange(rows.filter(({ row }) => row !== label.row));
                // The focused button is removed; without this the focus would be lost.
                list.current?.querySelector<HTMLButtonElement>('.add-label')?.focus();
              }}
            />
            {problem && (
              <p className="problem" id={problemId}>
                {problem}
              </p>
            )}
          </div>
        );
      })}
      <button
        type="button"
        className="button small add-label"
        onClick={() => {
          const row = Math.max(0, ...rows.map((label) => label.row)) + 1;
          onChange([...rows, { row, key: '', value: '' }]);
        }}
      >
        <Icon name="plus" />
        {t('addLabel')}
      </button>
      {wholeProblem && (
        <p className="problem" role="alert">
          {wholeProblem}
        </p>
      )}
    </fieldset>
  );
}
