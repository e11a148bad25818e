const COLOUR = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, "g");
const UNSAFE = /(?!\t)[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;

/**
 * Text that is safe to print: colours are taken out, every other control character is shown as an escape. A child's
 * output must not be able to move the cursor of whoever reads the log, nor to forge a line in it.
 */
export function printable(text: string): string {
  return text.replaceAll(COLOUR, "").replaceAll(UNSAFE, (character) => {
    const code = character.charCodeAt(0);
    return code < 256 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16)}`;
  });
}
