/** A group of bars: a cell, and in it each contestant. */
export interface BarGroup {
  readonly title: string;
  readonly bars: readonly { readonly label: string; readonly value: number; readonly shown: string }[];
}

const colors: Record<string, string> = { frazil: '#06c', 'Kafka Connect': '#c60', Flink: '#888' };
const [width, left, right, top, barHeight, gap] = [900, 270, 110, 34, 16, 12] as const;

/** Lying bars, from nothing to the greatest value of all, as a picture (SVG). */
export function plotBars(title: string, groups: readonly BarGroup[]): string {
  const most = Math.max(1e-9, ...groups.flatMap(({ bars }) => bars.map(({ value }) => value)));
  const lines: string[] = [];
  let y: number = top;
  for (const { title: group, bars } of groups) {
    lines.push(`<text x="${left - 100}" y="${y + 12}" text-anchor="end">${escaped(group)}</text>`);
    for (const { label, value, shown } of bars) {
      const long = ((width - left - right) * value) / most;
      lines.push(
        `<text x="${left - 6}" y="${y + 12}" text-anchor="end" fill="#555">${escaped(label)}</text>`,
        `<rect x="${left}" y="${y}" width="${long.toFixed(1)}" height="${barHeight - 2}" fill="${colors[label] ?? '#888'}"/>`,
        `<text x="${(left + long + 6).toFixed(1)}" y="${y + 12}">${escaped(shown)}</text>`,
      );
      y += barHeight;
    }
    y += gap;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y}" font-family="sans-serif" font-size="12">
<rect width="${width}" height="${y}" fill="white"/>
<text x="10" y="20" font-weight="bold">${escaped(title)}</text>
${lines.join('\n')}
</svg>
`;
}

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
