import { createParser } from 'eventsource-parser';

import { apiUrl } from '../api/base.ts';
import { noteServerDate } from '../lib/serverClock.ts';
import type { Change, Session, WorkerStatus } from '../api/types.ts';

/** The events of `GET /events`. */
export type FleetEvent =
  | { name: 'snapshot'; data: { sessions: Session[]; workers: WorkerStatus[] } }
  | { name: 'session'; data: { change: Change; at: string; session: Session } }
  | { name: 'worker'; data: WorkerStatus }
  | { name: 'workers'; data: string[] }
  | { name: 'activity'; data: Record<string, string> }
  | { name: 'heartbeat'; data: { at: string } };

/** The API answered 401 to the request for the stream. */
export class StreamUnauthorized extends Error {
  override readonly name = 'StreamUnauthorized';
}

/** The stream is aborted after this long without data: the server sends a heartbeat every 20 s. */
const SILENCE_LIMIT_MS = 50_000;

interface StreamOptions {
  token: string | null;
  /** The id of the last event received, to resume after it. */
  lastEventId: string | null;
  signal: AbortSignal;
  onOpen: () => void;
  onEvent: (event: FleetEvent, id: string | null) => void;
}

/**
 * Reads the event stream until it ends. It uses `fetch` instead of `EventSource`, which can neither send the
 * token in a header nor tell a refusal from a lost connection.
 *
 * @throws StreamUnauthorized, or the error that ended the stream
 */
export async function readEvents(options: StreamOptions): Promise<void> {
  const { token, lastEventId, signal, onOpen, onEvent } = options;
  const silence = new AbortController();
  const timer = { id: 0 };
  const restartTimer = () => {
    window.clearTimeout(timer.id);
    timer.id = window.setTimeout(() => {
      silence.abort(new Error('The event stream fell silent.'));
    }, SILENCE_LIMIT_MS);
  };
  restartTimer();
  try {
    const headers = new Headers({ Accept: 'text/event-stream' });
    if (token !== null) headers.set('Authorization', `Bearer ${token}`);
    if (lastEventId !== null) headers.set('Last-Event-ID', lastEventId);
    const response = await fetch(apiUrl('events'), {
      headers,
      cache: 'no-store',
      signal: AbortSignal.any([signal, silence.signal]),
    });
    noteServerDate(response.headers.get('Date'));
    if (response.status === 401) throw new StreamUnauthorized();
    const kind = response.headers.get('Content-Type') ?? '';
    if (!response.ok || !kind.startsWith('text/event-stream') || !response.body) {
      throw new Error(`The event stream was answered with status ${response.status}.`);
    }
    onOpen();
    const parser = createParser({
      onEvent: ({ event, data, id }) => {
        onEvent({ name: event, data: JSON.parse(data) as unknown } as FleetEvent, id ?? null);
      },
    });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      restartTimer();
      parser.feed(value);
    }
  } finally {
    window.clearTimeout(timer.id);
  }
}
