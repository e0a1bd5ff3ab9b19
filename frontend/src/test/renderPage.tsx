import { QueryClientProvider } from '@tanstack/react-query';
import { render } from '@testing-library/react';
import { userEvent, type UserEvent } from '@testing-library/user-event';
import { http, HttpResponse } from 'msw';
import { type ReactNode, useEffect } from 'react';
import { MemoryRouter, Route, Routes } from 'react-router';

import { Notices } from '../ui/Notices.tsx';
import { FleetContext, LiveFleet } from '../hooks/fleet.ts';
import { createQueryClient } from '../hooks/queries.ts';
import type { FleetEvent } from '../live/eventStream.ts';
import { server } from './server.ts';

/** A page with its route and the address that is open. */
interface PageOptions {
  pattern: string;
  at: string;
  page: ReactNode;
}

/** An event stream of the fleet, controlled by a test. */
export class Stream {
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  readonly #first: FleetEvent;

  /** @param first the event that each new subscriber gets */
  constructor(first: FleetEvent) {
    this.#first = first;
    server.use(
      http.get('*/api/events', () => {
        const body = new ReadableStream<Uint8Array>({
          start: (controller) => {
            this.#controller = controller;
            this.send(this.#first);
          },
        });
        return new HttpResponse(body, { headers: { 'Content-Type': 'text/event-stream' } });
      }),
    );
  }

  /** Sends an event. */
  send({ name, data }: FleetEvent): void {
    const text = `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
    this.#controller?.enqueue(new TextEncoder().encode(text));
  }
}

/** Runs the fleet's feed while it is mounted, as the panel does. */
function RunFeed({ fleet, children }: { fleet: LiveFleet; children: ReactNode }): ReactNode {
  useEffect(() => {
    fleet.feed.start();
    return () => {
      fleet.feed.stop();
    };
  }, [fleet]);
  return children;
}

/** Renders one page with its own fleet and cache; returns the user's actions. */
export function renderPage({ pattern, at, page }: PageOptions): UserEvent {
  const user = userEvent.setup();
  const fleet = new LiveFleet();
  render(
    <FleetContext value={fleet}>
      <QueryClientProvider client={createQueryClient()}>
        <MemoryRouter initialEntries={[at]}>
          <RunFeed fleet={fleet}>
            <Routes>
              <Route path={pattern} element={page} />
              <Route path="*" element={<p>another page</p>} />
            </Routes>
          </RunFeed>
        </MemoryRouter>
        <Notices />
      </QueryClientProvider>
    </FleetContext>,
  );
  return user;
}
