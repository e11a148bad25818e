import { median } from "./statistics.ts";
import { aligned, show } from "./table.ts";

/** One line of a table: the number that grows, or what is different, and what was measured at it, every sample. */
export interface Step {
  readonly at: number | string;
  readonly samples: Record<string, number[]>;
}

export interface Growth {
  readonly title: string;
  readonly unit: string;
  readonly steps: Step[];
}

/** A table as plain text, medians. */
export function renderGrowth({ title, unit, steps }: Growth): string {
  const columns = [...new Set(steps.flatMap(({ samples }) => Object.keys(samples)))];
  const lines = steps.map(({ at, samples }) => [
    typeof at === "string" ? at : at.toLocaleString("en-US"),
    ...columns.map((column) => show(median(samples[column] ?? []))),
  ]);
  return [title, ...aligned([[unit, ...columns], ...lines], Number.POSITIVE_INFINITY)].join("\n");
}
