import type { CutoverRecord } from "./record.ts";

/** What a command's own way of fencing needs on the way back: the record does not hold the command. */
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
  switch (state) {
    case "ending":
      return `\`${command}\` resumes it`;
    case "releasing":
      return `\`${command}\` tries the release again, \`${command} --abort --allow-both\` takes it back${given}`;
    default:
      return `\`${command} --abort\` takes it back, \`${command}\` does so and begins again${given}`;
  }
};
