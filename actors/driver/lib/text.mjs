/** Truncating texts, and making them well-formed. */

/**
 * Truncates a text to a number of characters, never inside one: strict JSON parsers refuse a line with half
 * of a surrogate pair. The result does not keep the whole text in memory.
 *
 * @param {string} text any text
 * @param {number} most the maximum number of Unicode code points, the ellipsis included
 * @returns {string} the text, or its beginning and an ellipsis
 */
export function truncate(text, most) {
  if (text.length <= most) return text;
  let end = 0;
  for (let characters = 0; characters < most; characters += 1) {
    if (end >= text.length) return text;
    if (characters === most - 1) {
      // The last character fits in place of the ellipsis only if the text ends there.
      return end + width(text, end) >= text.length ? text : `${copy(text.slice(0, end))}…`;
    }
    end += width(text, end);
  }
  return '';
}

/** How many code units the character at this position has. */
function width(text, index) {
  return text.codePointAt(index) > 0xffff ? 2 : 1;
}

/** Copies a text: a slice is a view that keeps the whole original in memory. */
function copy(text) {
  return JSON.parse(JSON.stringify(text));
}

/**
 * Truncates a text to a number of bytes of UTF-8, at a character boundary.
 *
 * @param {string} text any text
 * @param {number} most the maximum number of bytes
 * @returns {string} its beginning
 */
export function truncateBytes(text, most) {
  const bytes = Buffer.from(text);
  if (bytes.length <= most) return text;
  let end = most;
  // A byte 10xxxxxx continues the preceding character.
  while (end > 0 && (bytes[end] & 0xc0) === 0x80) end -= 1;
  return bytes.subarray(0, end).toString();
}

/**
 * Truncates the lines of a stream before anything reads them: line readers buffer a line until it ends, and a
 * page can make its browser print lines of any length.
 *
 * @param {import('node:stream').Readable} stream a stream of bytes that has not been read yet
 * @param {number} most how many bytes of a line are kept
 * @returns {void}
 */
export function truncateLines(stream, most) {
  const { push } = stream;
  let length = 0;
  stream.push = (chunk, ...rest) => {
    if (!Buffer.isBuffer(chunk)) return push.call(stream, chunk, ...rest);
    const kept = [];
    for (let start = 0; start < chunk.length; ) {
      const found = chunk.indexOf('\n', start);
      const end = found < 0 ? chunk.length : found;
      kept.push(chunk.subarray(start, Math.min(end, start + Math.max(0, most - length))));
      length += end - start;
      if (found >= 0) {
        kept.push(chunk.subarray(end, end + 1));
        length = 0;
      }
      start = end + 1;
    }
    return push.call(stream, Buffer.concat(kept), ...rest);
  };
}
