/** Texts that are cut, and texts that others must be able to parse. */

/**
 * Shortens a text to a number of characters, never in the middle of one: half of an emoji is no text, and a strict
 * JSON parser refuses the whole line that holds it. What is cut does not keep the whole text in the memory.
 *
 * @param {string} text any text
 * @param {number} most how many characters (Unicode code points) it may have, the ellipsis included
 * @returns {string} the text, or its beginning and an ellipsis
 */
export function cut(text, most) {
  if (text.length <= most) return text;
  let end = 0;
  for (let characters = 0; characters < most; characters += 1) {
    if (end >= text.length) return text;
    if (characters === most - 1) {
      // The last one has its place only if it is the last of the text.
      return end + width(text, end) >= text.length ? text : `${copy(text.slice(0, end))}…`;
    }
    end += width(text, end);
  }
  return '';
}

/** How many code units the character has that begins there. */
function width(text, index) {
  return text.codePointAt(index) > 0xffff ? 2 : 1;
}

/** A text of its own: a slice is a view of the text that it was taken from, which it keeps in the memory as a whole. */
function copy(text) {
  return JSON.parse(JSON.stringify(text));
}

/**
 * Shortens a text to a number of bytes of UTF-8, at the end of a character.
 *
 * @param {string} text any text
 * @param {number} most how many bytes it may have
 * @returns {string} its beginning
 */
export function cutBytes(text, most) {
  const bytes = Buffer.from(text);
  if (bytes.length <= most) return text;
  let end = most;
  // 10xxxxxx continues a character that began before it.
  while (end > 0 && (bytes[end] & 0xc0) === 0x80) end -= 1;
  return bytes.subarray(0, end).toString();
}

/**
 * Cuts the lines that a stream brings before anything reads them: whoever collects lines keeps one until it ends, and a
 * page makes its browser print lines of any length.
 *
 * @param {import('node:stream').Readable} stream a stream of bytes that has not been read yet
 * @param {number} most how many bytes of a line are kept
 * @returns {void}
 */
export function cutLines(stream, most) {
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
