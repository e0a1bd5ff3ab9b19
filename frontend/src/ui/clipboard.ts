import { i18n } from '../i18n/i18n.ts';
import { notifyError, notifyInfo } from './notices.ts';

/** Browsers offer the clipboard API on https and localhost only; a fleet at home is often neither. */
function copyThroughSelection(text: string): boolean {
  const field = document.createElement('textarea');
  field.value = text;
  field.style.position = 'fixed';
  field.style.opacity = '0';
  // Inside an open dialog, because everything outside of it can't take the focus.
  const parent = document.querySelector('dialog[open]') ?? document.body;
  const focused = document.activeElement;
  parent.append(field);
  field.select();
  // Deprecated, and without a successor for pages served over plain http.
  // eslint-disable-next-line @typescript-eslint/no-deprecated
  const copied = document.execCommand('copy');
  field.remove();
  if (focused instanceof HTMLElement) focused.focus();
  return copied;
}

async function copyText(text: string): Promise<boolean> {
  // Absent on plain http, whatever the type says.
  const clipboard = navigator.clipboard as Clipboard | undefined;
  if (clipboard) {
    try {
      await clipboard.writeText(text);
      return true;
    } catch {
      // Refused by a policy: the old way may still be open.
    }
  }
  return copyThroughSelection(text);
}

/** Copies a text and says so; where copying is forbidden, shows the text to copy by hand. */
export async function copyToClipboard(text: string, what: string): Promise<void> {
  if (await copyText(text)) notifyInfo(i18n.t('copied', { what }));
  else notifyError(i18n.t('copyByHand', { what, text }));
}
