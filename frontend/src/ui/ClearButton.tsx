import type { ReactNode } from 'react';

import { Icon } from './icons.tsx';

/** A button that clears the filters of a list. */
export function ClearButton({ text, onClear }: { text: string; onClear: () => void }): ReactNode {
  return (
    <button type="button" className="button small" onClick={onClear}>
      <Icon name="close" />
      {text}
    </button>
  );
}
