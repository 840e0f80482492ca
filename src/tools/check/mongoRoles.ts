import { BUCKETS } from "#base/flow/buckets.ts";
import { watchedDatabase } from "#base/flow/namespaceFilter.ts";
import {
  bucketSourceNeeds,
  bucketTargetNeeds,
  carriedBackWishes,
  foreignWriteNeeds,
  pastBlockNeeds,
  pastValidatorNeeds,
  sourceNeeds,
  sourceWishes,
  stateNeeds,
  validatorNeeds,
  verifyNeeds,
  wayBackNeeds,
  writeBlockNeeds,
  writeBlockWishes,
  writeNeeds,
} from "#io/mongo/needs.ts";
import { type Need, roleScript } from "#io/mongo/privileges.ts";
import { reverseState } from "#process/capture/stateNames.ts";

/** Databases of a run; "" alone stands for every one. */
export type RoleNames = Readonly<{ source: readonly string[]; target: readonly string[]; stateDb: string }>;

/** What `--print-roles` takes. */
export const ROLE_PARTS = ["source", "target", "verify", "cutover", "rollback"] as const;
export type RolePart = (typeof ROLE_PARTS)[number];

/** The rights of one user on one side. */
export type MongoRole = Readonly<{
  part: RolePart;
  side: "source" | "target";
  role: string;
  user: string;
  /** Commands that connect to this side as this user. */
  runs: string;
  needs: (names: RoleNames) => readonly Need[];
}>;

const reading = (databases: readonly string[]): Need[] => {
  const db = watchedDatabase(databases);
  return [...sourceNeeds(db), ...bucketSourceNeeds({ db, coll: BUCKETS }), ...sourceWishes];
};

const writing = (databases: readonly string[]): Need[] =>
  databases.flatMap((db) => [...writeNeeds(db), ...bucketTargetNeeds({ db, coll: BUCKETS }), ...foreignWriteNeeds(db)]);

const fencing = (databases: readonly string[]): Need[] => [
  ...databases.flatMap(validatorNeeds),
  ...writeBlockNeeds,
  ...writeBlockWishes,
];

const CARRYING = "`ferry run`, `capture`, `worker`, `structure`, `check`";
const PROVING = "`ferry verify`, `ferry receipt`";
const SWITCHING = "`ferry cutover`";
const CARRYING_BACK = "`ferry run --reverse`, `ferry rollback`, `ferry verify --reverse`";

/** Every user that ferry connects as, and what it may do: printed by `--print-roles`, and shown in docs/privileges.md. */
export const MONGO_ROLES: readonly MongoRole[] = [
  {
    part: "source",
    side: "source",
    role: "ferrySource",
    user: "ferry-source",
    runs: `${CARRYING}; the official connector`,
    needs: ({ source, stateDb }) => [...reading(source), ...carriedBackWishes(reverseState(stateDb))],
  },
  {
    part: "target",
    side: "target",
    role: "ferryTarget",
    user: "ferry-target",
    runs: `${CARRYING}, \`repair\`, \`dlq\`, \`status\``,
    needs: ({ target, stateDb }) => [...writing(target), ...stateNeeds(stateDb)],
  },
  {
    part: "verify",
    side: "source",
    role: "ferryVerifySource",
    user: "ferry-verify",
    runs: PROVING,
    needs: ({ source }) => [...reading(source), ...source.flatMap(verifyNeeds)],
  },
  {
    part: "verify",
    side: "target",
    role: "ferryVerifyTarget",
    user: "ferry-verify",
    runs: PROVING,
    needs: ({ target, stateDb }) => [
      ...target.flatMap((db) => [...verifyNeeds(db), ...bucketSourceNeeds({ db, coll: BUCKETS })]),
      ...stateNeeds(stateDb),
    ],
  },
  {
    part: "cutover",
    side: "source",
    role: "ferryCutoverSource",
    user: "ferry-cutover",
    runs: SWITCHING,
    needs: ({ source }) => [...reading(source), ...fencing(source)],
  },
  {
    part: "cutover",
    side: "target",
    role: "ferryCutoverTarget",
    user: "ferry-cutover",
    runs: SWITCHING,
    needs: ({ target, stateDb }) => [...writing(target), ...stateNeeds(stateDb), ...wayBackNeeds(stateDb)],
  },
  {
    part: "rollback",
    side: "source",
    role: "ferryRollbackSource",
    user: "ferry-rollback",
    runs: CARRYING_BACK,
    needs: ({ source, stateDb }) => [
      ...writing(source),
      ...stateNeeds(reverseState(stateDb)),
      ...source.flatMap(pastValidatorNeeds),
      ...pastBlockNeeds,
      ...writeBlockWishes,
      ...wayBackNeeds(reverseState(stateDb)),
      ...source.flatMap(verifyNeeds),
    ],
  },
  {
    part: "rollback",
    side: "target",
    role: "ferryRollbackTarget",
    user: "ferry-rollback",
    runs: CARRYING_BACK,
    needs: ({ target, stateDb }) => [
      ...reading(target),
      ...stateNeeds(stateDb),
      ...fencing(target),
      ...target.flatMap(verifyNeeds),
    ],
  },
];

const same = (one: Need, { db, collection, cluster, why }: Need): boolean =>
  one.db === db && one.collection === collection && one.cluster === cluster && one.why === why;

/** The needs of a role, each once. */
export const roleNeeds = ({ needs }: MongoRole, names: RoleNames): readonly Need[] => {
  const all = needs(names);
  return all.filter((need, i) => all.findIndex((other) => same(other, need)) === i);
};

/** Commands for mongosh that make the role and a user with it, who is asked for a password. */
const scriptOf = (role: MongoRole, names: RoleNames): string =>
  [
    `// on the ${role.side}: ${role.runs.replaceAll("`", "")}`,
    roleScript(role.role, roleNeeds(role, names)),
    `db.getSiblingDB("admin").createUser({ user: "${role.user}", pwd: passwordPrompt(), roles: ["${role.role}"] })`,
  ].join("\n");

/** The commands of these parts, in the order of the table. @param parts none: all of them */
export const rolesScript = (parts: readonly RolePart[], names: RoleNames): string =>
  MONGO_ROLES.filter(({ part }) => parts.length === 0 || parts.includes(part))
    .map((role) => scriptOf(role, names))
    .join("\n\n");
