import type { ReactNode } from 'react';

interface SearchFieldProps {
  /** Its accessible name. */
  label: string;
  hint: string;
  value: string;
  onChange: (value: string) => void;
}

/** The search field of a list. */
export function SearchField({ label, hint, value, onChange }: SearchFieldProps): ReactNode {
  return (
    <input
      type="search"
      aria-label={label}
      placeholder={hint}
      value={value}
      onChange={(event) => {
        onChange(event.target.value);
      }}
    />
  );
}
