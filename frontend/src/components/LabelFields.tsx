import { type ReactNode, useId, useRef } from 'react';

import type { LabelRow } from '../api/launch.ts';
import { IconButton } from './IconButton.tsx';
import { Icon } from './icons.tsx';

interface LabelFieldsProps {
  rows: LabelRow[];
  problems: Record<number, string>;
  onChange: (rows: LabelRow[]) => void;
}

/** The labels of a new session: a row of key and value for each. */
export function LabelFields({ rows, problems, onChange }: LabelFieldsProps): ReactNode {
  const id = useId();
  const list = useRef<HTMLFieldSetElement>(null);
  const change = (changed: LabelRow) => {
    onChange(rows.map((known) => (known.row === changed.row ? changed : known)));
  };
  return (
    <fieldset className="label-fields" ref={list}>
      <legend>Labels</legend>
      {rows.map((label, index) => {
        const problem = problems[label.row];
        const problemId = problem ? `${id}-${label.row}` : undefined;
        return (
          <div className="label-row" key={label.row}>
            <input
              aria-label={`Key of label ${index + 1}`}
              aria-invalid={problem !== undefined}
              aria-describedby={problemId}
              placeholder="key"
              value={label.key}
              onChange={(event) => {
                change({ ...label, key: event.target.value });
              }}
            />
            <span aria-hidden="true">=</span>
            <input
              aria-label={`Value of label ${index + 1}`}
              placeholder="value"
              value={label.value}
              onChange={(event) => {
                change({ ...label, value: event.target.value });
              }}
            />
            <IconButton
              icon="close"
              label={`Remove label ${index + 1}`}
              onClick={() => {
                onChange(rows.filter(({ row }) => row !== label.row));
                // The button that had the focus goes; without this the focus would be nowhere.
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
        Add label
      </button>
    </fieldset>
  );
}
