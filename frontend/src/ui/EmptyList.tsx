import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

interface EmptyListProps {
  /** Whether the list is still being loaded. */
  waiting: boolean;
  /** How many items the filter excludes. */
  hidden: number;
  /** The texts for a filter that excludes everything. */
  noMatch: { title: string; text: string; clear: string };
  onClear: () => void;
  /** What is shown when there is nothing at all. */
  children: ReactNode;
}

/** An empty list, with the reason and the possible next step. */
export function EmptyList(props: EmptyListProps): ReactNode {
  const { waiting, hidden, noMatch, onClear, children } = props;
  const { t } = useTranslation();
  if (waiting) return <p className="empty card">{t('loading')}</p>;
  if (hidden === 0) return <div className="empty card">{children}</div>;
  return (
    <div className="empty card">
      <h3>{noMatch.title}</h3>
      <p>{noMatch.text}</p>
      <button type="button" className="button" onClick={onClear}>
        {noMatch.clear}
      </button>
    </div>
  );
}
