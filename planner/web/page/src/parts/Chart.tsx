// A chart on a canvas, with what it says as text and as a table for those who cannot see it.

import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";

export interface Line {
  label: string;
  values: (number | null)[];
  colour: string;
  dash?: boolean;
  points?: boolean;
  thin?: boolean;
}

export interface Band {
  low: (number | null)[];
  high: (number | null)[];
  colour: string;
}

export interface Marker {
  x: number;
  label: string;
  colour: string;
}

export interface Level {
  y: number;
  label: string;
  colour: string;
}

interface Props {
  title: string;
  description: string;
  x: number[];
  lines: Line[];
  bands?: Band[];
  markers?: Marker[];
  levels?: Level[];
  logY?: boolean;
  xLabel: string;
  xText: (value: number) => string;
  yText: (value: number) => string;
  note?: string;
}

const HEIGHT = 240;

export function Chart(props: Props) {
  const box = useRef<HTMLDivElement>(null);
  const dark = useDark();
  const key = JSON.stringify([props.x, props.lines, props.bands, props.markers, props.levels, dark]);
  useEffect(() => {
    const node = box.current;
    if (!node) return;
    const plot = new uPlot(options(props, node), data(props), node);
    const watch = new ResizeObserver(() => plot.setSize({ width: node.clientWidth, height: HEIGHT }));
    watch.observe(node);
    return () => {
      watch.disconnect();
      plot.destroy();
    };
  }, [key]);
  return (
    <figure class="chart">
      <figcaption>{props.title}</figcaption>
      <div ref={box} class="plot" role="img" aria-label={`${props.title}. ${props.description}`} />
      <ul class="legend" aria-hidden="true">
        {props.lines.map((line) => (
          <li key={line.label}>
            <svg width="18" height="6">
              <line x1="0" y1="3" x2="18" y2="3" class={`stroke-${line.colour}`} stroke-width="2" stroke-dasharray={line.dash ? "4 3" : ""} />
            </svg>
            {line.label}
          </li>
        ))}
      </ul>
      {props.note && <p class="quiet">{props.note}</p>}
      <details class="numbers">
        <summary>Numbers</summary>
        <div class="scroll" tabIndex={0} role="region" aria-label={`${props.title}: numbers`}>
          <table>
            <thead>
              <tr>
                <th scope="col">{props.xLabel}</th>
                {props.lines.map((l) => (
                  <th key={l.label} scope="col" class="number">
                    {l.label}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {props.x.map((x, i) => (
                <tr key={i}>
                  <td>{props.xText(x)}</td>
                  {props.lines.map((l) => {
                    const y = l.values[i];
                    return (
                      <td key={l.label} class="number">
                        {y === null || y === undefined ? "-" : props.yText(y)}
                      </td>
                    );
                  })}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </figure>
  );
}

function useDark(): boolean {
  const query = window.matchMedia("(prefers-color-scheme: dark)");
  const [dark, setDark] = useState(query.matches);
  useEffect(() => {
    const follow = () => setDark(query.matches);
    query.addEventListener("change", follow);
    return () => query.removeEventListener("change", follow);
  }, []);
  return dark;
}

function data({ x, lines, bands = [] }: Props): uPlot.AlignedData {
  return [x, ...lines.map((l) => l.values), ...bands.flatMap((b) => [b.high, b.low])];
}

function options(props: Props, node: HTMLElement): uPlot.Options {
  const styles = getComputedStyle(node);
  const colour = (name: string) => styles.getPropertyValue(`--${name}`).trim();
  const { lines, bands = [] } = props;
  const hidden: uPlot.Series = { show: true, stroke: "transparent", points: { show: false } };
  const axis: uPlot.Axis = {
    stroke: colour("muted"),
    font: `12px ${styles.fontFamily}`,
    grid: { stroke: colour("rule"), width: 1 },
    ticks: { stroke: colour("rule"), width: 1, size: 4 },
  };
  return {
    width: node.clientWidth,
    height: HEIGHT,
    padding: [10, 36, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { time: false }, y: props.logY ? { distr: 3, range: wide } : { range: (_u, _low, high) => [0, high > 0 ? high * 1.12 : 1] } },
    series: [
      {},
      ...lines.map((line) => ({
        label: line.label,
        stroke: colour(line.colour),
        width: line.thin ? 1 : 2,
        spanGaps: false,
        ...(line.dash ? { dash: [5, 4] } : {}),
        points: { show: line.points ?? false, size: 6, fill: colour(line.colour) },
      })),
      ...bands.flatMap(() => [hidden, hidden]),
    ],
    bands: bands.map((band, i) => ({
      series: [1 + lines.length + 2 * i, 2 + lines.length + 2 * i],
      fill: `${colour(band.colour)}26`,
    })),
    axes: [
      {
        ...axis,
        label: props.xLabel,
        labelFont: `12px ${styles.fontFamily}`,
        labelSize: 20,
        labelGap: 2,
        size: 30,
        space: 70,
        values: (_u, splits) => splits.map((v) => props.xText(v)),
      },
      { ...axis, size: 68, values: (_u, splits) => splits.map((v) => props.yText(v)), ...(props.logY ? { splits: spaced, filter: (_u, splits) => splits } : {}) },
    ],
    hooks: { draw: [(plot) => marked(plot, props, colour, styles.fontFamily)] },
  };
}

/** A logarithmic axis around its values; any decade where there are none above zero. */
function wide(_plot: uPlot, low: number | null, high: number | null): uPlot.Range.MinMax {
  return low !== null && high !== null && low > 0 ? [low / 1.3, high * 1.3] : [1, 10];
}

/** Of a logarithmic axis 1, 2 and 5 of each decade between two values above zero. */
function spaced(_plot: uPlot, _axis: number, low: number, high: number): number[] {
  const first = Math.floor(Math.log10(low));
  const decades = Array.from({ length: Math.floor(Math.log10(high)) - first + 1 }, (_, i) => first + i);
  return decades.flatMap((d) => [1, 2, 5].map((n) => n * 10 ** d)).filter((v) => v >= low && v <= high);
}

function marked(plot: uPlot, props: Props, colour: (name: string) => string, family: string): void {
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.font = `${11 * ratio}px ${family}`;
  ctx.lineWidth = 1.2 * ratio;
  const placed: number[] = [];
  for (const marker of props.markers ?? []) {
    const x = plot.valToPos(marker.x, "x", true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.strokeStyle = ctx.fillStyle = colour(marker.colour);
    ctx.setLineDash([4 * ratio, 3 * ratio]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    const near = placed.filter((p) => Math.abs(p - x) < 90 * ratio).length;
    placed.push(x);
    const right = x < bbox.left + bbox.width * 0.7;
    ctx.textAlign = right ? "left" : "right";
    ctx.fillText(marker.label, x + (right ? 4 : -4) * ratio, bbox.top + (12 + 14 * near) * ratio);
  }
  ctx.textAlign = "left";
  for (const level of props.levels ?? []) {
    const y = plot.valToPos(level.y, "y", true);
    if (y < bbox.top || y > bbox.top + bbox.height) continue;
    ctx.strokeStyle = ctx.fillStyle = colour(level.colour);
    ctx.setLineDash([1.5 * ratio, 3 * ratio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.fillText(level.label, bbox.left + 4 * ratio, y - 4 * ratio);
  }
  ctx.restore();
}
