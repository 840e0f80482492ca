import type { CutoverRecord } from "./record.ts";

/** The record does not hold the command that has fenced; and one that fails at lifting, too, may fail each time. */
const HOOK =
  ", with --fence hook:COMMAND where a command lifts the fence, with --fence none where you have lifted it by hand";

/**
 * How an operator resumes or takes back a cutover that no process drives any more, as the end of a sentence.
 * @param command that resumes it: `ferry cutover`, or `ferry rollback`
 */
export const waysOn = (
  { state, fence, entered }: Pick<CutoverRecord, "state" | "fence" | "entered">,
  command: string,
): string => {
  const given = fence === "hook" && entered.fencing !== undefined ? HOOK : "";
  const back = `\`${command} --abort\` takes it back`;
  switch (state) {
    case "ending":
      return `\`${command}\` resumes it`;
    case "releasing":
      return `\`${command}\` tries the release again, \`${command} --abort --allow-both\` takes it back${given}`;
    default:
      return given === "" ? `${back}, \`${command}\` does so and begins again` : `${back}${given}`;
  }
};
