/**
 * Lets pages of contexts whose client names no viewport have the size of their window. Playwright's own default of 1280×720
 * contradicts the window and the screen that the page sees, and what a viewer sees of it.
 */

/** Options with which a client chooses a viewport, or that Playwright refuses without one. */
const CHOICES = ['viewport', 'deviceScaleFactor', 'isMobile'];

/**
 * Makes the window the viewport of a new context, unless its client chose one.
 *
 * @param {string} type the type of the object that a client calls
 * @param {{method: string, params?: object}} message the client's message; its parameters may be changed
 * @returns {void}
 */
export function defaultToWindow(type, { method, params }) {
  if (type !== 'Browser' || !params || !/^newContext(ForReuse)?$/.test(method)) return;
  if (CHOICES.every((option) => params[option] === undefined)) params.noDefaultViewport = true;
}
