/** Texts that are cut, and texts that others must be able to parse. */

/**
 * Shortens a text to a number of characters, never in the middle of one: half of an emoji is no text, and a strict
 * JSON parser refuses the whole line that holds it.
 *
 * @param {string} text any text
 * @param {number} most how many characters (Unicode code points) it may have, the ellipsis included
 * @returns {string} the text, or its beginning and an ellipsis
 */
export function cut(text, most) {
  if (text.length <= most) return text;
  // No character has more than two code units, so this holds more than enough of them.
  const characters = Array.from(text.slice(0, 2 * (most + 1)));
  return characters.length <= most ? text : `${characters.slice(0, most - 1).join('')}…`;
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
