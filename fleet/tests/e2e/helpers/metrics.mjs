/** Reads Prometheus' text format. */

/**
 * @param {string} text the response of `/metrics`
 *
 * @returns {{value: (name: string, labels?: Record<string, string>) => number, families: Map<string,
 * string>}} `value` finds one sample, 0 if there is none; `families` are the metrics' names and types
 */
export function parseMetrics(text) {
  const samples = new Map();
  const families = new Map();
  for (const line of text.split('\n')) {
    const [, family, type] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? [];
    if (family) families.set(family, type);
    const [, name, labels = '', value] = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (name) samples.set(key(name, Object.fromEntries([...labels.matchAll(/(\w+)="([^"]*)"/g)].map((match) => match.slice(1)))), Number(value));
  }
  return { families, value: (name, labels = {}) => samples.get(key(name, labels)) ?? 0 };
}

function key(name, labels) {
  return `${name} ${Object.entries(labels).sort().map(([label, value]) => `${label}=${value}`).join(' ')}`;
}
