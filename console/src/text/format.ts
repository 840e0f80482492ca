/** Numbers and times as people read them. */

export const count = (n: number): string => Math.round(n).toLocaleString("en-US");

export const plural = (n: number, one: string, many = `${one}s`): string => `${count(n)} ${n === 1 ? one : many}`;

/** `1 h 5 min`, `12 min 3 s`, `4.2 s`, `350 ms`: two units at most. */
export const duration = (ms: number): string => {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
};

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

export const bytes = (n: number): string => {
  const step = n < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(n) / 10));
  const value = n / 2 ** (10 * step);
  return `${step === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[step]}`;
};

/** `12.3 k`, `3.4 M`: for axes and small places. */
export const short = (n: number): string => {
  if (n < 1000) return String(Math.round(n));
  const [divisor, unit] = n < 1e6 ? ([1e3, "k"] as const) : ([1e6, "M"] as const);
  const value = n / divisor;
  return `${value >= 100 ? Math.round(value) : value.toFixed(1).replace(/\.0$/, "")} ${unit}`;
};

/** What has begun is not said to be over, nor what is not over to be complete. */
export const percent = (share: number): string => {
  const n = Math.floor(share * 100);
  return `${share < 1 ? Math.min(99, n) : 100} %`;
};

export const shareOf = (part: number, whole: number | null): number | undefined =>
  whole === null || whole <= 0 ? undefined : Math.min(1, part / whole);

const sameDay = (a: Date, b: Date): boolean => a.toDateString() === b.toDateString();

/** The time of day, with the date where that is not today's. */
export const moment = (at: string | number | Date, now = new Date()): string => {
  const time = new Date(at);
  const clock = time.toLocaleTimeString("en-GB");
  return sameDay(time, now) ? clock : `${time.toLocaleDateString("en-CA")} ${clock}`;
};

export const sum = <T>(all: readonly T[], of: (one: T) => number): number =>
  all.reduce((total, one) => total + of(one), 0);

/** With a capital letter, as it stands alone. */
export const sentence = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
