import type { FerryError } from "#base/errors/ferryError.ts";
import { blockObstacle } from "#cutover/fence/writeBlock.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { restoreNeeds, validatorNeeds, wayBackNeeds } from "#io/mongo/needs.ts";
import { lackedPrivilege } from "#io/mongo/privileges.ts";
import { type CheckResult, checking } from "./checkResult.ts";

/** Both sides of a cutover, and what they carry. */
export type Switched = Readonly<{
  source: MongoClient;
  target: MongoClient;
  /** Databases on each side; one "" stands for any. */
  from: readonly string[];
  to: readonly string[];
  stateDb: string;
}>;

/** Not a warning: who carries needs none of it, and a cutover may well be another user's. */
const ROLES = "`ferry check --print-roles` prints what a cutover needs, of this user or of another one.";

/** Fences that the source's user can raise, and why not the others. */
const fencesOf = async ({ source, from }: Switched) => {
  const block = (await blockObstacle(source))?.detail;
  const validator = (await lackedPrivilege("source", source, from.flatMap(validatorNeeds)))?.detail;
  const kinds = { "user-write-block": block, validator } as const;
  const can = Object.entries(kinds).flatMap(([kind, lack]) => (lack === undefined ? [kind] : []));
  const lacks = Object.entries(kinds).flatMap(([kind, lack]) => (lack === undefined ? [] : [`${kind}: ${lack}`]));
  return { can, lacks };
};

/** What a cutover would lack, long before it: rights are asked of other people. */
export const checkSwitch = (switched: Switched): Promise<CheckResult[]> =>
  checking("cutover", async (say) => {
    const { target, to, stateDb } = switched;
    const { can, lacks } = await fencesOf(switched);
    const needs = [...to.flatMap(restoreNeeds), ...wayBackNeeds(stateDb)];
    const lacked: FerryError | undefined = await lackedPrivilege("target", target, needs);
    if (can.length > 0 && lacked === undefined) say("ok", `a cutover could fence the source by ${can.join(" or ")}`);
    if (can.length === 0)
      say("ok", `by this user a cutover could raise no fence on the source: ${lacks.join("; ")}`, ROLES);
    if (lacked !== undefined) say("ok", `by this user a cutover could not work on the target: ${lacked.detail}`, ROLES);
  });
