import { i18n } from '../i18n/i18n.ts';
import { notifyError, notifyInfo } from './notices.ts';

/** For plain http: browsers offer the clipboard API on https and localhost only. */
function copyThroughSelection(text: string): boolean {
  const field = document.createElement('textarea');
  field.value = text;
  field.style.position = 'fixed';
  field.style.opacity = '0';
  // Inside an open dialog, because elements outside of it can't be focused.
  const parent = document.querySelector('dialog[open]') ?? document.body;
  const focused = document.activeElement;
  parent.append(field);
  field.select();
  // Deprecated, but plain http has no alternative.
  // eslint-disable-next-line @typescript-eslint/no-deprecated
  const copied = document.execCommand('copy');
  field.remove();
  if (focused instanceof HTMLElement) focused.focus();
  return copied;
}

async function copyText(text: string): Promise<boolean> {
  // Undefined on plain http, contrary to its type.
  const clipboard = navigator.clipboard as Clipboard | undefined;
  if (clipboard) {
    try {
      await clipboard.writeText(text);
      return true;
    } catch {
      // Refused by a policy: the fallback may still work.
    }
  }
  return copyThroughSelection(text);
}

/** Copies a text and shows a notice; where copying is impossible, the notice contains the text. */
export async function copyToClipboard(text: string, what: string): Promise<void> {
  if (await copyText(text)) notifyInfo(i18n.t('copied', { what }));
  else notifyError(i18n.t('copyByHand', { what, text }));
}
