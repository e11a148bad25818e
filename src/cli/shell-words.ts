import { UsageError } from "./usage-error.ts";

/**
 * Splits a command as a POSIX shell does for plain words: blanks, single and double quotes, backslash. Nothing is
 * expanded or run by a shell.
 * @throws UsageError when a quote is not closed
 */
export function shellWords(text: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote: string | undefined;
  for (let at = 0; at < text.length; at++) {
    const letter = text[at] ?? "";
    if (quote !== undefined) {
      if (letter === quote) quote = undefined;
      else if (letter === "\\" && quote === '"' && /["\\$`]/.test(text[at + 1] ?? ""))
        word = (word ?? "") + (text[++at] ?? "");
      else word = (word ?? "") + letter;
    } else if (letter === "'" || letter === '"') {
      quote = letter;
      word ??= "";
    } else if (letter === "\\" && at + 1 < text.length) word = (word ?? "") + (text[++at] ?? "");
    else if (!/\s/.test(letter)) word = (word ?? "") + letter;
    else if (word !== undefined) {
      words.push(word);
      word = undefined;
    }
  }
  if (quote !== undefined) throw new UsageError(`a quote (${quote}) in the command is not closed`);
  if (word !== undefined) words.push(word);
  return words;
}
