import { http, HttpResponse } from 'msw';

import type { Session } from '../api/types.ts';
import { aSession, server } from './server.ts';

/** A session with a screen. */
export function withScreen(id: string, changes: Partial<Session> = {}): Session {
  const vnc = { ws: `/websockify?token=${id}`, http: null, password_protected: false };
  return aSession({ id, vnc_enabled: true, vnc, ...changes });
}

/** Sessions with a screen, the newest first. */
export function sessionsWithScreens(count: number): Session[] {
  return Array.from({ length: count }, (_, place) =>
    withScreen(`${String(place).padStart(2, '0')}aaaaaa`, {
      created_at: new Date(1_700_000_000_000 - place * 1000).toISOString(),
    }),
  );
}

/** Serves screenshots and records the requests for them. */
export class Screens {
  asked: { id: string; width: number; tag: string | null; token: string | null }[] = [];
  shows = 'first';
  failure: (() => Response) | null = null;

  constructor() {
    server.use(
      http.get('*/api/sessions/:worker/:id/screenshot', ({ params, request }) => {
        const tag = request.headers.get('If-None-Match');
        this.asked.push({
          id: String(params.id),
          width: Number(new URL(request.url).searchParams.get('width')),
          tag,
          token: request.headers.get('Authorization'),
        });
        if (this.failure) return this.failure();
        const ETag = `"${this.shows}"`;
        if (tag === ETag) return new HttpResponse(null, { status: 304, headers: { ETag } });
        return new HttpResponse(this.shows, { headers: { 'Content-Type': 'image/jpeg', ETag } });
      }),
    );
  }
}
