import type { ReactNode } from 'react';

interface FilterSelectProps<T extends string> {
  label: string;
  all: string;
  value: '' | T;
  choices: readonly T[];
  /** The text of a choice; without it, the choice itself. */
  textOf?: (choice: T) => string;
  onChange: (value: '' | T) => void;
}

/** A select with an option for all values. */
export function FilterSelect<T extends string>({
  label,
  all,
  value,
  choices,
  textOf = (choice) => choice,
  onChange,
}: FilterSelectProps<T>): ReactNode {
  // A chosen value stays in the list after the last session with it has gone, so that it can be deselected.
  const offered = value === '' || choices.includes(value) ? choices : [value, ...choices];
  return (
    <select
      aria-label={label}
      value={value}
      onChange={(event) => {
        const chosen = offered.find((choice) => choice === event.target.value);
        onChange(chosen ?? '');
      }}
    >
      <option value="">{all}</option>
      {offered.map((choice) => (
        <option key={choice} value={choice}>
          {textOf(choice)}
        </option>
      ))}
    </select>
  );
}
