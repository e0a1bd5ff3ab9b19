import { fireEvent, render, screen, waitFor } from '@testing-library/react';
import { userEvent } from '@testing-library/user-event';
import { describe, expect, it, vi } from 'vitest';

import { Notices } from '../ui/Notices.tsx';
import { dismissAll } from '../ui/notices.ts';
import { CLIPBOARD_LIMIT } from './clipboard.ts';
import { LiveClipboard } from './LiveClipboard.tsx';
import { LiveKeys } from './LiveKeys.tsx';
import { LiveQuality } from './LiveQuality.tsx';

function button(name: string) {
  return screen.getByRole('button', { name });
}

describe('LiveKeys', () => {
  function renderKeys() {
    const onKey = vi.fn();
    const onCtrlAltDel = vi.fn();
    render(<LiveKeys onKey={onKey} onCtrlAltDel={onCtrlAltDel} />);
    return { onKey, onCtrlAltDel, user: userEvent.setup() };
  }

  it('presses a key, and holds a modifier until it is clicked again', async () => {
    const { onKey, user } = renderKeys();
    await user.click(button('Esc'));
    expect(onKey.mock.lastCall).toEqual([expect.objectContaining({ keysym: 0xff1b })]);
    await user.click(button('Ctrl'));
    expect(onKey.mock.lastCall).toEqual([expect.objectContaining({ code: 'ControlLeft' }), true]);
    expect(button('Ctrl')).toHaveAttribute('aria-pressed', 'true');
    await user.click(button('Ctrl'));
    expect(onKey.mock.lastCall).toEqual([expect.objectContaining({ code: 'ControlLeft' }), false]);
    expect(button('Ctrl')).toHaveAttribute('aria-pressed', 'false');
  });

  it('sends Ctrl+Alt+Del', async () => {
    const { onCtrlAltDel, user } = renderKeys();
    await user.click(button('Ctrl+Alt+Del'));
    expect(onCtrlAltDel).toHaveBeenCalledOnce();
  });

  it('has F1 to F12 in a menu that works by keyboard', async () => {
    const { onKey, user } = renderKeys();
    button('F keys').focus();
    // The menu gets the focus shortly after the key that opens it.
    const focused = async (role: string, name: string) => {
      await waitFor(() => {
        expect(screen.getByRole(role, { name })).toHaveFocus();
      });
    };
    await user.keyboard('{Enter}');
    await focused('menuitem', 'F1');
    await user.keyboard('{ArrowUp}');
    await focused('menuitem', 'F12');
    await user.keyboard('{ArrowDown}{ArrowDown}');
    await focused('menuitem', 'F2');
    await user.keyboard('{Enter}');
    expect(onKey).toHaveBeenCalledWith({ name: 'F2', keysym: 0xffbf, code: 'F2' });
    await focused('button', 'F keys');
    await user.keyboard('{Enter}');
    await focused('menuitem', 'F1');
    await user.keyboard('{Escape}');
    await focused('button', 'F keys');
    expect(screen.queryByRole('menu')).not.toBeInTheDocument();
  });
});

describe('LiveClipboard', () => {
  it('shows the text copied in the session, and copies it here', async () => {
    const user = userEvent.setup();
    render(<LiveClipboard remoteText={'ä\nb'} canSend onSend={vi.fn()} />);
    expect(screen.getByLabelText('Copied in the session')).toHaveValue('ä\nb');
    await user.click(button('Copy here'));
    expect(await navigator.clipboard.readText()).toBe('ä\nb');
  });

  it('sends a text only with control', async () => {
    const user = userEvent.setup();
    const onSend = vi.fn();
    const { rerender } = render(
      <LiveClipboard remoteText={null} canSend={false} onSend={onSend} />,
    );
    expect(button('Copy here')).toBeDisabled();
    expect(button('Send')).toBeDisabled();
    rerender(<LiveClipboard remoteText={null} canSend onSend={onSend} />);
    await user.click(button('Send'));
    expect(onSend).not.toHaveBeenCalled();
    await user.type(screen.getByLabelText('Send to the session'), 'one{Enter}two');
    await user.click(button('Send'));
    expect(onSend).toHaveBeenCalledExactlyOnceWith('one\ntwo');
  });
});

describe('a text for the session’s clipboard', () => {
  it.each([
    ['x'.repeat(CLIPBOARD_LIMIT), true],
    ['x'.repeat(CLIPBOARD_LIMIT + 1), false],
    // Two bytes each.
    ['ж'.repeat(CLIPBOARD_LIMIT / 2 + 1), false],
  ])('is sent up to the limit, and refused with a message above it', async (text, isSent) => {
    const user = userEvent.setup();
    const onSend = vi.fn();
    dismissAll();
    render(
      <>
        <LiveClipboard remoteText={null} canSend onSend={onSend} />
        <Notices />
      </>,
    );
    fireEvent.change(screen.getByLabelText('Send to the session'), { target: { value: text } });
    await user.click(button('Send'));
    if (isSent) {
      expect(onSend).toHaveBeenCalledExactlyOnceWith(text);
      expect(screen.getByText(/is on the session’s clipboard/)).toBeVisible();
    } else {
      expect(onSend).not.toHaveBeenCalled();
      expect(
        screen.getByText(/This text has 1,025 kB: a session takes 1,024 kB at most/),
      ).toBeVisible();
    }
  });
});

describe('LiveQuality', () => {
  it.each([
    [24.4, 1_900, 'good', '24 ms · 2 kB/s'],
    [320, 2_340_000, 'busy', '320 ms · 2.3 MB/s'],
    [null, 0, 'bad', 'no answer · 0 kB/s'],
  ])('shows %s ms and %d bytes per second', (roundTripMs, bytesPerSecond, tone, text) => {
    const { container } = render(<LiveQuality quality={{ roundTripMs, bytesPerSecond }} />);
    expect(container.firstElementChild).toHaveClass(tone);
    expect(container).toHaveTextContent(`Round trip ${text}`);
  });
});
