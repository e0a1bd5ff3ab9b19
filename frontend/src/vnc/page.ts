import { storedToken } from '../api/token.ts';
import enScreen from '../i18n/en/screen.json';
import ruScreen from '../i18n/ru/screen.json';
import { createI18n } from '../i18n/createI18n.ts';
import { isSwitchedOn, livePageSocket, parseLivePath } from './address.ts';
import { LiveConnection } from './connection.ts';
import { type CredentialKind, type LiveStatus, statusText } from './status.ts';

/** Only the texts of this page, to keep it small. */
const t = createI18n({ en: { screen: enScreen }, ru: { screen: ruScreen } }).getFixedT(
  null,
  'screen',
);

function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Partial<HTMLElementTagNameMap[K]>,
  ...children: Node[]
): HTMLElementTagNameMap[K] {
  const created = Object.assign(document.createElement(tag), properties);
  created.append(...children);
  return created;
}

function credentialForm(
  kinds: CredentialKind[],
  onSubmit: (credentials: Partial<Record<CredentialKind, string>>) => void,
): HTMLFormElement {
  const fields = kinds.map((kind) => {
    const input = element('input', {
      name: kind,
      type: kind === 'password' ? 'password' : 'text',
      autocomplete: kind === 'password' ? 'current-password' : 'off',
    });
    return { kind, input };
  });
  const form = element(
    'form',
    {},
    ...fields.map(({ kind, input }) =>
      element('label', {}, document.createTextNode(t(`credentials.${kind}`)), input),
    ),
    element('button', { type: 'submit', textContent: t('credentials.connect') }),
  );
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    onSubmit(Object.fromEntries(fields.map(({ kind, input }) => [kind, input.value])));
  });
  return form;
}

/**
 * Turns an element into the live view of the page's address, and connects. Plain DOM, because this page
 * should load fast and has a single box of text to show.
 */
export function startLivePage(root: HTMLElement, page: URL): void {
  const address = parseLivePath(page.pathname);
  const screen = element('div', { className: 'canvas' });
  const message = element('p', {});
  message.setAttribute('role', 'status');
  const box = element('div', { className: 'box' }, message);
  root.dataset.testid = 'live-screen';
  root.append(screen, box);

  if (!address) {
    root.dataset.state = 'disconnected';
    message.textContent = t('page.noAddress');
    return;
  }
  document.title = `camofleet · ${t('page.title', { id: address.id })}`;
  root.setAttribute('role', 'application');
  root.setAttribute('aria-label', t('page.label', { id: address.id }));

  const viewOnly = isSwitchedOn(page.searchParams.get('view_only'));
  const token = page.searchParams.get('access_token') ?? storedToken();
  const key = page.searchParams.get('key');
  let form: HTMLFormElement | null = null;
  let countdown: number | undefined;

  const connection = new LiveConnection({
    target: screen,
    url: livePageSocket(page, address, { key, token }),
    viewOnly,
    onStatus: show,
  });
  connection.open();
  // Returning to the window should not need a click before keys are sent.
  window.addEventListener('focus', () => {
    if (!viewOnly && !form) connection.focus();
  });

  function show(status: LiveStatus): void {
    root.dataset.state = status.state;
    clearInterval(countdown);
    const refresh = () => {
      message.textContent = statusText(t, status, Date.now());
    };
    refresh();
    if (status.state === 'disconnected' && status.retryAt !== null) {
      countdown = window.setInterval(refresh, 1000);
    }
    form?.remove();
    form = null;
    if (status.state === 'protected') {
      form = credentialForm(status.wanted, (credentials) => {
        connection.sendCredentials(credentials);
      });
      box.append(form);
      form.querySelector('input')?.focus();
    }
    if (status.state === 'connected' && !viewOnly) connection.focus();
  }
}
