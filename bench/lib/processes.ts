/** What processes have used, by `/proc`: with those that they started, for a tool may be a script around another. */
import { readdirSync, readFileSync } from "node:fs";

/** Of a Linux kernel, by which `/proc` counts. */
const TICKS_PER_SECOND = 100;

const read = (path: string): string => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // it has ended
  }
};

const childrenOf = (pid: number): number[] => {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      read(`/proc/${pid}/task/${task}/children`)
        .split(" ")
        .filter((word) => word.trim() !== "")
        .map(Number),
    );
  } catch {
    return [];
  }
};

const treeOf = (pid: number): number[] => [pid, ...childrenOf(pid).flatMap(treeOf)];

/** Its own and that of its ended children: fields 14 to 17, behind a name that may hold blanks. */
const cpuOf = (pid: number): number => {
  const fields = read(`/proc/${pid}/stat`).split(") ").at(-1)?.split(" ") ?? [];
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / TICKS_PER_SECOND;
};

const sizeOf = (pid: number, name: "VmHWM" | "VmRSS"): number =>
  Number(new RegExp(`${name}:\\s+(\\d+)`).exec(read(`/proc/${pid}/status`))?.[1] ?? 0) / 1024;

/** Seconds of CPU that a process and all below it have used since they began. */
export const cpuSeconds = (pid: number | undefined): number =>
  pid === undefined ? 0 : treeOf(pid).reduce((sum, one) => sum + cpuOf(one), 0);

/** The most that they have had in memory; a sum of peaks where there are several. */
export const peakMb = (pid: number | undefined): number =>
  pid === undefined ? 0 : Math.round(treeOf(pid).reduce((sum, one) => sum + sizeOf(one, "VmHWM"), 0));

/** What they have in memory now: of a server, whose peak is that of another contestant. */
export const rssMb = (pid: number | undefined): number =>
  pid === undefined ? 0 : Math.round(treeOf(pid).reduce((sum, one) => sum + sizeOf(one, "VmRSS"), 0));
