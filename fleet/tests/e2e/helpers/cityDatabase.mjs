/** Writes a city database in the MaxMind DB file format, version 2.0. */

const RECORD_BITS = 32;
const SEPARATOR_BYTES = 16;
/** The types of unsigned numbers in the metadata; all others there have 16 bits. */
const UINT = { node_count: 6, build_epoch: 9 };

function head(kind, size) {
  const [short, more] = size < 29 ? [size, []] : [29, [size - 29]];
  return Buffer.from([...(kind < 8 ? [(kind << 5) | short] : [short, kind - 7]), ...more]);
}

function encode(value, name) {
  if (typeof value === 'string') return Buffer.concat([head(2, Buffer.byteLength(value)), Buffer.from(value)]);
  if (Array.isArray(value)) return Buffer.concat([head(11, value.length), ...value.map((entry) => encode(entry))]);
  if (typeof value === 'object') {
    const entries = Object.entries(value);
    return Buffer.concat([head(7, entries.length), ...entries.flatMap(([key, entry]) => [encode(key), encode(entry, key)])]);
  }
  if (name === 'latitude' || name === 'longitude') {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleBE(value);
    return Buffer.concat([head(3, 8), bytes]);
  }
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  const short = bytes.subarray(bytes.findIndex((byte) => byte > 0) >>> 0);
  return Buffer.concat([head(UINT[name] ?? 5, short.length), short]);
}

/**
 * A database of IPv4 addresses.
 *
 * @param {Record<string, object>} records by address, in the form of ip-location-db
 * @returns {Buffer} the file
 */
export function cityDatabase(records) {
  const nodes = [[null, null]];
  let data = Buffer.alloc(0);
  for (const [address, record] of Object.entries(records)) {
    const bits = address.split('.').map((part) => Number(part).toString(2).padStart(8, '0')).join('');
    let node = nodes[0];
    for (const bit of bits.slice(0, -1)) {
      if (node[bit] === null) node[bit] = { node: nodes.push([null, null]) - 1 };
      node = nodes[node[bit].node];
    }
    node[bits.at(-1)] = { data: data.length };
    data = Buffer.concat([data, encode(record)]);
  }
  const tree = Buffer.alloc(nodes.length * 2 * (RECORD_BITS / 8));
  nodes.flat().forEach((entry, at) => {
    const value = entry?.node ?? (entry ? nodes.length + SEPARATOR_BYTES + entry.data : nodes.length);
    tree.writeUInt32BE(value, at * (RECORD_BITS / 8));
  });
  const metadata = encode({
    binary_format_major_version: 2, binary_format_minor_version: 0, build_epoch: 1_780_666_922,
    database_type: 'test cities', description: {}, languages: [], ip_version: 4,
    node_count: nodes.length, record_size: RECORD_BITS,
  });
  return Buffer.concat([tree, Buffer.alloc(SEPARATOR_BYTES), data, Buffer.from('abcdef', 'hex'), Buffer.from('MaxMind.com'), metadata]);
}
