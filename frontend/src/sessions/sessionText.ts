import type { Change } from '../api/types.ts';
import { i18n } from '../i18n/i18n.ts';

/** What happened to a session, in words; something this panel does not know yet is shown as it came. */
export function changeText(change: Change): string {
  return i18n.t(`session:changes.${change}`, { defaultValue: change });
}

/** How good the news is: which mark the entry gets. */
export function changeTone(change: Change): 'good' | 'bad' | 'plain' {
  if (change === 'ready') return 'good';
  return change === 'restarting' || change === 'start_url_failed' || change === 'forgotten'
    ? 'bad'
    : 'plain';
}
