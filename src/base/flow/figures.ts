/** `1 h 5 min`, `12 min 3 s`, `4.2 s`, `18 ms`: two units at most. */
export const duration = (ms: number): string => {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
};

/** The same to the second: `10 s`. */
export const wholeDuration = (ms: number): string => {
  const whole = Math.round(ms / 1000);
  return whole < 60 ? `${whole} s` : duration(whole * 1000);
};

/** A count with thousands separated, and what is counted: `1 lane`, `1,234 lanes`. @param noun one of them */
export const count = (n: number, noun?: string): string => {
  const whole = Math.round(n);
  const text = whole.toLocaleString("en-US");
  return noun === undefined ? text : `${text} ${noun}${whole === 1 ? "" : "s"}`;
};

export const megabytes = (bytes: number): string => `${count(Math.ceil(bytes / 1024 / 1024))} MB`;
