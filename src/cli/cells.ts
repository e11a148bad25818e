/** How many columns of a terminal a text takes; letters of East Asian scripts and emoji take two. */
export function widthOf(text: string): number {
  return Bun.stringWidth(text);
}

/** How many lines of a terminal a text takes. A letter of two columns does not stand half in one line. */
export function rowsOf(text: string, columns: number): number {
  if (widthOf(text) <= columns) return 1;
  let rows = 1;
  let at = 0;
  for (const { segment } of new Intl.Segmenter().segment(Bun.stripANSI(text))) {
    const width = widthOf(segment);
    if (at > 0 && at + width > columns) {
      rows++;
      at = 0;
    }
    at += width;
  }
  return rows;
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
