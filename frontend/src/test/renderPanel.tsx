import { QueryClientProvider } from '@tanstack/react-query';
import { render } from '@testing-library/react';
import { userEvent, type UserEvent } from '@testing-library/user-event';

import { createQueryClient } from '../hooks/queries.ts';
import { PanelPage } from '../pages/PanelPage.tsx';

/** Renders the whole panel with a cache of its own; returns the person in front of it. */
export function renderPanel(options: Parameters<typeof userEvent.setup>[0] = {}): UserEvent {
  const user = userEvent.setup(options);
  render(
    <QueryClientProvider client={createQueryClient()}>
      <PanelPage />
    </QueryClientProvider>,
  );
  return user;
}
