import type { Command } from "commander";
import { FerryError } from "#base/errors/ferryError.ts";
import { databasesNamed, listed } from "#base/flow/namespaceFilter.ts";
import { print } from "#surface/terminal/output.ts";
import { ACL_PARTS, aclsScript } from "#tools/check/kafkaAcls.ts";
import { ROLE_PARTS, rolesScript } from "#tools/check/mongoRoles.ts";

/** Flags that print rights instead of a check: the parts that are meant, or true for all. */
export type RightsFlags = Readonly<{ printRoles?: string | true; printAcls?: string | true }>;

/** What rights are limited to. Names and globs of namespaces; an empty list stands for everything. */
export type Rights = Readonly<{
  /** On the source, and so of topics. */
  from: readonly string[];
  /** On the target. */
  to: readonly string[];
  stateDb: string;
  group: string;
  bootstrap: string;
}>;

export const withRights = (command: Command): Command =>
  command
    .option(
      "--print-roles [parts]",
      `print MongoDB users with the least privileges, for mongosh, and exit: all, or some of ${ROLE_PARTS.join(", ")}`,
    )
    .option(
      "--print-acls [parts]",
      `print the least rights on Kafka, as kafka-acls commands, and exit: all, or some of ${ACL_PARTS.join(", ")}`,
    );

/** @throws FERRY_USAGE */
const partsOf = <T extends string>(flag: string, known: readonly T[], given: string | true): readonly T[] =>
  (given === true ? [] : listed(given)).map((name) => {
    const part = known.find((one) => one === name);
    if (part !== undefined) return part;
    throw new FerryError("FERRY_USAGE", `${flag} takes ${known.join(", ")}, not "${name}"`);
  });

/** Prints what is asked for. False where nothing is. @throws FERRY_USAGE */
export const printRights = ({ printRoles, printAcls }: RightsFlags, rights: Rights): boolean => {
  const scripts: string[] = [];
  if (printRoles !== undefined) {
    const [source, target] = [databasesNamed(rights.from), databasesNamed(rights.to)];
    const names = { source, target, stateDb: rights.stateDb };
    scripts.push(rolesScript(partsOf("--print-roles", ROLE_PARTS, printRoles), names));
  }
  if (printAcls !== undefined)
    scripts.push(aclsScript(partsOf("--print-acls", ACL_PARTS, printAcls), { ...rights, include: rights.from }));
  if (scripts.length > 0) print(scripts.join("\n\n"));
  return scripts.length > 0;
};
