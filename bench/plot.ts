/** Plots as inline SVG. Colours are CSS classes (`s-SERIES`), so that one drawing serves light and dark. */

export interface Series {
  id: string;
  label: string;
}

export interface BarGroup {
  label: string;
  /** By series id; what is missing has no bar. `title` is shown on hovering. */
  values: ReadonlyMap<string, { value: number; title: string }>;
}

export interface PlotOptions {
  /** What the numbers are, for readers who cannot see the plot. */
  description: string;
  /** Text of a value. */
  format: (value: number) => string;
  /** Where bars begin: on a log scale a length means nothing without it. */
  baseline: number;
  baselineLabel: string;
  /** Further lines across the plot. */
  marks?: readonly { value: number; label: string }[];
}

const WIDTH = 960;
const LABEL = 130;
const RIGHT = 60;
const BAR = 11;
const GAP = 2;
const GROUP_GAP = 12;
const TOP = 34;

export const escapeHtml = (text: string): string =>
  text.replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c]!);

/** 1, 2 and 5 of each decade within [low, high]; only decades when there would be too many. */
function ticks(low: number, high: number): number[] {
  const out: number[] = [];
  const steps = Math.log10(high / low) > 3 ? [1] : [1, 2, 5];
  for (let decade = Math.floor(Math.log10(low)); decade <= Math.ceil(Math.log10(high)); decade++)
    for (const step of steps) {
      const value = step * 10 ** decade;
      if (value >= low * 0.999 && value <= high * 1.001) out.push(value);
    }
  return out;
}

/** Horizontal bars on a log scale, one group a program. */
export function groupedBars(groups: readonly BarGroup[], series: readonly Series[], options: PlotOptions): string {
  const { baseline, format } = options;
  const all = groups.flatMap((g) => [...g.values.values()].map((v) => v.value));
  if (all.length === 0) return '';
  const lowest = Math.min(...all);
  const low = lowest >= baseline ? baseline : Math.min(lowest, baseline) / 1.15;
  const high = Math.max(...all, baseline * 2) * 1.1;
  const x = (v: number): number => LABEL + (Math.log(v / low) / Math.log(high / low)) * (WIDTH - LABEL - RIGHT);
  const groupHeight = series.length * (BAR + GAP) - GAP;
  const height = TOP + groups.length * (groupHeight + GROUP_GAP) + 4;
  const out: string[] = [];
  out.push(`<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escapeHtml(options.description)}">`);
  const line = (value: number, style: string, label: string, y: number): void => {
    const at = x(value).toFixed(1);
    out.push(`<line class="${style}" x1="${at}" x2="${at}" y1="${TOP - 4}" y2="${height}"/>`);
    out.push(`<text class="${style}" x="${at}" y="${y}" text-anchor="middle">${escapeHtml(label)}</text>`);
  };
  for (const tick of ticks(low, high)) line(tick, 'grid', format(tick), TOP - 9);
  for (const mark of options.marks ?? [])
    if (mark.value > low && mark.value < high) line(mark.value, 'mark', mark.label, 10);
  line(baseline, 'base', options.baselineLabel, 10);
  groups.forEach((group, g) => {
    const top = TOP + g * (groupHeight + GROUP_GAP) + 4;
    out.push(
      `<text class="name" x="${LABEL - 10}" y="${top + groupHeight / 2 + 4}" text-anchor="end">${escapeHtml(group.label)}</text>`,
    );
    series.forEach((s, k) => {
      const found = group.values.get(s.id);
      if (!found) return;
      const [from, to] = [x(baseline), x(found.value)];
      const y = top + k * (BAR + GAP);
      const width = Math.max(1, Math.abs(to - from));
      out.push(
        `<g><title>${escapeHtml(found.title)}</title>`,
        `<rect class="s-${s.id}" x="${Math.min(from, to).toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" rx="1.5"/>`,
        `<text class="value" x="${(Math.max(from, to) + 5).toFixed(1)}" y="${y + BAR - 2}">${format(found.value)}</text></g>`,
      );
    });
  });
  out.push('</svg>');
  return out.join('\n');
}

/** A small line of one run's repetition times, from zero to the slowest, with the steady state as a thin line. */
export function sparkline(values: readonly number[], steady: number, series: string): string {
  const [width, height] = [96, 22];
  const top = Math.max(...values);
  const y = (v: number): string => (height - 1 - (v / top) * (height - 3)).toFixed(1);
  const points = values.map((v, k) => `${((k / Math.max(1, values.length - 1)) * (width - 4) + 2).toFixed(1)},${y(v)}`);
  return (
    `<svg class="spark" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" aria-hidden="true">` +
    `<line class="grid" x1="0" x2="${width}" y1="${y(steady)}" y2="${y(steady)}"/>` +
    `<polyline class="l-${series}" points="${points.join(' ')}"/></svg>`
  );
}
