import type { ReactNode } from 'react';

interface FilterSelectProps<T extends string> {
  label: string;
  all: string;
  value: '' | T;
  choices: readonly T[];
  onChange: (value: '' | T) => void;
}

/** A choice of one of several values, or of all. */
export function FilterSelect<T extends string>({
  label,
  all,
  value,
  choices,
  onChange,
}: FilterSelectProps<T>): ReactNode {
  // What was chosen stays to be seen, and to be taken back, when the last session with it has gone.
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
          {choice}
        </option>
      ))}
    </select>
  );
}
