import { QueryClientProvider } from '@tanstack/react-query';
import { render } from '@testing-library/react';
import { userEvent, type UserEvent } from '@testing-library/user-event';
import { MemoryRouter } from 'react-router';

import { FleetContext, LiveFleet } from '../hooks/fleet.ts';
import { createQueryClient } from '../hooks/queries.ts';
import { Panel } from '../panel/Panel.tsx';

interface RenderOptions {
  /** The initial path. */
  path?: string;
  user?: Parameters<typeof userEvent.setup>[0];
}

/** Renders the whole panel with its own fleet and cache; returns the user's actions. */
export function renderPanel({ path = '/', user: options = {} }: RenderOptions = {}): UserEvent {
  const user = userEvent.setup(options);
  render(
    <QueryClientProvider client={createQueryClient()}>
      <FleetContext value={new LiveFleet()}>
        <MemoryRouter initialEntries={[path]}>
          <Panel />
        </MemoryRouter>
      </FleetContext>
    </QueryClientProvider>,
  );
  return user;
}
