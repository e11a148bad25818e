/** How many columns of a terminal a text takes; letters of East Asian scripts and emoji take two. */
export function widthOf(text: string): number {
  return Bun.stringWidth(text);
}

/** How many lines of a terminal a text takes. */
export function rowsOf(text: string, columns: number): number {
  return Math.max(1, Math.ceil(widthOf(text) / Math.max(1, columns)));
}

/** The text, cut where it would be wider than `columns`; what is left out shows as `…`. */
export function cut(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text;
  if (columns < 1) return "";
  let out = "";
  let width = 1;
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    width += widthOf(segment);
    if (width > columns) break;
    out += segment;
  }
  return `${out.trimEnd()}…`;
}

/** The text, cut or filled with blanks to exactly `columns`. */
export function fit(text: string, columns: number): string {
  const short = cut(text, columns);
  return short + " ".repeat(Math.max(0, columns - widthOf(short)));
}
