import { useEffect, useRef } from "react";
import type uPlot from "uplot";
import { REACH_MS } from "../data/samples.ts";

export type ChartData = Readonly<{ at: readonly number[]; values: readonly (number | null)[] }>;

const colour = (name: string): string => {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
};

const clock = (seconds: number): string => new Date(seconds * 1000).toLocaleTimeString("en-GB");

const optionsOf = (
  { clientWidth: width, clientHeight: height }: HTMLElement,
  text: (n: number) => string,
): uPlot.Options => {
  const [ink, line, accent] = [colour("--quiet"), colour("--line"), colour("--accent")];
  const grid = { stroke: line, width: 1 };
  const font = "12px system-ui, sans-serif";
  return {
    width,
    height,
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 8, 0, 0],
    scales: {
      x: { range: (_, __, max) => [Math.min(max - 60, max), max] as [number, number] },
      y: { range: (_, __, max) => [0, Math.max(max * 1.15, 1)] as [number, number] },
    },
    axes: [
      {
        stroke: ink,
        grid: { show: false },
        ticks: { show: false },
        font,
        size: 24,
        space: 80,
        values: (_, all) => all.map(clock),
      },
      { stroke: ink, grid, ticks: { show: false }, font, size: 62, space: 34, values: (_, all) => all.map(text) },
    ],
    series: [
      {},
      {
        stroke: accent,
        width: 2,
        fill: `color-mix(in srgb, ${accent} 14%, transparent)`,
        points: { show: false },
        spanGaps: false,
      },
    ],
  };
};

const dataOf = ({ at, values }: ChartData): uPlot.AlignedData => [at.map((ms) => ms / 1000), [...values]];

/** A line over the last minutes. It draws on a canvas; `summary` says the same in words. */
export const Chart = ({
  data,
  text,
  summary,
}: Readonly<{ data: ChartData; text: (n: number) => string; summary: string }>) => {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const latest = useRef(data);
  latest.current = data;

  useEffect(() => {
    const at = place.current;
    if (at === null) return undefined;
    let isGone = false;
    const draw = async (): Promise<void> => {
      const { Plot } = await import("./plot.ts");
      if (isGone) return;
      plot.current?.destroy();
      const options = optionsOf(at, text);
      const range = (_: uPlot, min: number, max: number): [number, number] => [
        Math.max(Math.min(min, max - 60), max - REACH_MS / 1000),
        max,
      ];
      plot.current = new Plot({ ...options, scales: { ...options.scales, x: { range } } }, dataOf(latest.current), at);
    };
    const redraw = (): void => void draw();
    redraw();
    const sizes = new ResizeObserver(() => plot.current?.setSize({ width: at.clientWidth, height: at.clientHeight }));
    sizes.observe(at);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", redraw);
    return () => {
      isGone = true;
      sizes.disconnect();
      dark.removeEventListener("change", redraw);
      plot.current?.destroy();
      plot.current = undefined;
    };
  }, [text]);

  useEffect(() => plot.current?.setData(dataOf(data)), [data]);

  return <div className="chart" ref={place} role="img" aria-label={summary} />;
};
