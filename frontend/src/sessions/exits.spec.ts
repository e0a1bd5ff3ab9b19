import { describe, expect, it } from 'vitest';

import { ApiError } from '../api/client.ts';
import { language } from '../i18n/language.ts';
import { aSession, aWorkerWith, healthyWorker } from '../test/server.ts';
import {
  blockListText,
  blockListTexts,
  defaultExitText,
  exitDetailText,
  exitsOf,
  exitText,
  lacksEgress,
  policyText,
  poolsOf,
  proxyRefusal,
  refusalText,
  shortExitText,
} from './exits.ts';

const egress = {
  policy: 'open',
  proxies: ['eu', 'us'],
  default_proxy: null,
  block_lists: [],
  default_block: [],
  checks_proxies: false,
  city_database: null,
};
const east = aWorkerWith('east', {}, egress);
const west = aWorkerWith('west', {}, { ...egress, proxies: ['us', 'asia'] });
const server = { server: 'socks5://a.test:1080', pool: null };
const pool = { server: null, pool: 'eu' };

it('lists the pools of all workers, and says which workers have one that others don’t', () => {
  expect(poolsOf([east, west])).toEqual([
    { name: 'asia', only: ['west'] },
    { name: 'eu', only: ['east'] },
    { name: 'us', only: null },
  ]);
  expect(poolsOf([healthyWorker])).toEqual([]);
});

it('knows which workers control no connections; a silent one may', () => {
  expect(lacksEgress(east)).toBe(false);
  expect(lacksEgress(healthyWorker)).toBe(true);
  expect(lacksEgress({ ...healthyWorker, detail: { error: 'no answer' } })).toBe(false);
});

it('names exits', () => {
  expect(exitText(null)).toBe('Direct');
  expect(exitText({ server: 'direct', pool: null })).toBe('Direct');
  expect(exitText(server)).toBe('socks5://a.test:1080');
  expect(exitText(pool)).toBe('Pool eu');
  expect(shortExitText(server)).toBe('a.test:1080');
  language.set('ru');
  expect(exitText(null)).toBe('Напрямую');
});

it('lists the exits of sessions, each once', () => {
  const sessions = [
    aSession({ proxy: server }),
    aSession({ proxy: pool }),
    aSession({ proxy: pool }),
    aSession({ egress: null }),
  ];
  expect([...exitsOf(sessions)]).toEqual([
    ['eu', 'Pool eu'],
    ['socks5://a.test:1080', 'socks5://a.test:1080'],
  ]);
});

describe('the default exit', () => {
  it.each([
    ['is named', [egress, egress], 'Default: Direct'],
    ['may be a pool', [{ ...egress, default_proxy: pool }], 'Default: Pool eu'],
    ['may differ', [egress, { ...egress, default_proxy: pool }], /depends on the worker/],
    ['may be unknown', [null], 'Worker’s default'],
    ['is unknown without workers', [], 'Worker’s default'],
  ])('%s', (_, facts, text) => {
    expect(defaultExitText(facts)).toMatch(text);
  });
});

describe('texts', () => {
  /** The reasons in the crate `api`. */
  const REASONS = [
    ...[
      'no_session',
      'fleet',
      'link_local',
      'not_public',
      'denied',
      'blocked',
      'too_many_connections',
    ],
    ...['malformed', 'unresolved', 'unreachable', 'timed_out'],
    ...['proxy_unreachable', 'proxy_denied', 'proxy_failed'],
  ];
  it.each(['en', 'ru'] as const)('explain every reason, policy and built-in list in %s', (tag) => {
    language.set(tag);
    const shown = [
      ...REASONS.map(refusalText),
      ...['no-fleet', 'public', 'open'].map(policyText),
      blockListText('phone_home'),
    ];
    for (const text of shown)
      expect(text).toMatch(tag === 'en' ? /^[A-Z].*[a-z]/ : /^[А-Я].*[а-я]/);
    expect(new Set(shown).size).toBe(shown.length);
  });

  it('show what this panel does not know unchanged', () => {
    expect(refusalText('haunted')).toBe('haunted');
    expect(policyText('closed')).toBe('closed');
    expect(blockListText('ads')).toBe('ads');
  });

  it('put the lists that have a phrase as their name before the others', () => {
    expect(blockListTexts(['ads', 'phone_home'])).toBe('What the browser calls by itself, ads');
    expect(blockListTexts(['b', 'a'], (name) => name.toUpperCase())).toBe('B, A');
  });

  it('say the exits of the history', () => {
    expect(exitDetailText('direct')).toBe('Direct');
    expect(exitDetailText('the pool us')).toBe('Pool us');
    expect(exitDetailText('socks5://a.example:1080')).toBe('socks5://a.example:1080');
    language.set('ru');
    expect(exitDetailText('the pool us')).toBe('Пул us');
    expect(exitDetailText('direct')).toBe('Напрямую');
  });
});

it('tells refusals of a proxy from others', () => {
  expect(proxyRefusal(new ApiError(422, 'invalid_field', 'proxy: must be'))).toBe('proxy: must be');
  expect(proxyRefusal(new ApiError(502, 'no_egress', 'it can’t'))).toMatch('current camofleet');
  expect(proxyRefusal(new ApiError(422, 'invalid_field', 'block: must be'))).toBeNull();
  expect(proxyRefusal(new ApiError(404, 'session_not_found', 'proxy: gone'))).toBeNull();
  expect(proxyRefusal(new Error('proxy: x'))).toBeNull();
});
