/** One line of `ferry check`. fail: it cannot work or would lose data; warn: it works, with a limit that is named. */
export type CheckResult = Readonly<{
  area: "source" | "target" | "state" | "routes" | "sink" | "structure" | "cutover" | "kafka" | "connect" | "docker";
  level: "ok" | "warn" | "fail";
  sentence: string;
  remedy?: string;
}>;

/** Adds a line to the results of an area. */
export type Say = (level: CheckResult["level"], sentence: string, remedy?: string) => void;

/** Collects the results of one area; what throws becomes a failed check, so that the others are still made. */
export const checking = async (
  area: CheckResult["area"],
  work: (say: Say) => Promise<void>,
): Promise<CheckResult[]> => {
  const results: CheckResult[] = [];
  const say: Say = (level, sentence, remedy) =>
    results.push({ area, level, sentence, ...(remedy === undefined ? {} : { remedy }) });
  try {
    await work(say);
  } catch (error) {
    const hint = (error as { entry?: { hint?: string } }).entry?.hint;
    say("fail", error instanceof Error ? error.message : String(error), hint);
  }
  return results;
};
