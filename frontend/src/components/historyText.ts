import type { Change } from '../api/types.ts';

const WORDS: Record<Change, string> = {
  created: 'Created',
  ready: 'Ready for clients',
  restarting: 'Browser is being restarted',
  attached: 'A client attached',
  detached: 'A client left',
  touched: 'Touched',
  start_url_failed: 'Start page failed to load',
  ending: 'Ending',
  ended: 'Ended',
  forgotten: 'Forgotten by its worker',
};

/** What happened to a session, in words; something this panel does not know yet is shown as it came. */
export function changeText(change: Change): string {
  return (WORDS as Record<string, string>)[change] ?? change;
}

/** How good the news is: which mark the entry gets. */
export function changeTone(change: Change): 'good' | 'bad' | 'plain' {
  if (change === 'ready') return 'good';
  return change === 'restarting' || change === 'start_url_failed' || change === 'forgotten'
    ? 'bad'
    : 'plain';
}
