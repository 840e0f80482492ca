/** The oldest server that ferry works with, on either side. */
export const OLDEST_VERSION = [4, 4] as const;

export const atLeast = (version: string, [major, minor]: readonly [number, number]): boolean => {
  const [a = 0, b = 0] = version.split(".").map(Number);
  return a > major || (a === major && b >= minor);
};
