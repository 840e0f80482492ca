import { NamespaceFilter, type NamespacePattern } from "#base/flow/namespaceFilter.ts";
import { isTopicName } from "#io/kafka/topicName.ts";

/** What `--print-acls` takes: the processes that speak to Kafka, each as a principal of its own. */
export const ACL_PARTS = ["capture", "worker", "status"] as const;
export type AclPart = (typeof ACL_PARTS)[number];

/** One row of the table: what a principal may do on topics of the run, on its group, or on the cluster. */
export type AclNeed = Readonly<{
  on: "topics" | "group" | "cluster";
  operations: readonly string[];
  why: string;
}>;

export type AclRole = Readonly<{
  part: AclPart;
  principal: string;
  /** Commands that connect as this principal. */
  runs: string;
  needs: readonly AclNeed[];
}>;

/** Every principal, and what it may do: printed by `--print-acls`, and shown in docs/privileges.md. */
export const ACL_ROLES: readonly AclRole[] = [
  {
    part: "capture",
    principal: "ferry-capture",
    runs: "`ferry capture`",
    needs: [
      { on: "topics", operations: ["Describe", "Create", "Write"], why: "topics of collections, and their records" },
      {
        on: "topics",
        operations: ["DescribeConfigs", "Delete"],
        why: "`--recopy` and `--replace-target`: topics are created again as they were, without records",
      },
    ],
  },
  {
    part: "worker",
    principal: "ferry-worker",
    runs: "`ferry worker`",
    needs: [
      { on: "topics", operations: ["Read"], why: "the records" },
      { on: "group", operations: ["Read"], why: "positions that are shown to Kafka's tools (`--group`)" },
    ],
  },
  {
    part: "status",
    principal: "ferry-status",
    runs: "`ferry status`, `check`, `verify`, `cutover`, `kc`, `dlq`",
    needs: [
      { on: "topics", operations: ["Read"], why: "how far topics reach, and how old the oldest waiting record is" },
      { on: "topics", operations: ["DescribeConfigs"], why: "`ferry check`: retention, and the largest record" },
      { on: "cluster", operations: ["DescribeConfigs"], why: "`ferry check`: what new topics are like" },
    ],
  },
];

/** How kafka-acls is told which topics are meant. */
type TopicResource = Readonly<{ name: string; pattern: "literal" | "prefixed" }>;

/** A glob is as much of it as comes before its first wildcard; a name that Kafka does not take is all of its database. */
const topicOf = ({ db, coll }: NamespacePattern): TopicResource => {
  const whole = `${db}.${coll}`;
  const fixed = whole.slice(0, whole.search(/[*?]|$/));
  if (fixed === "") return { name: "*", pattern: "literal" };
  if (fixed !== whole) return { name: isTopicName(fixed) ? fixed : `${db}.`, pattern: "prefixed" };
  return isTopicName(whole) ? { name: whole, pattern: "literal" } : { name: `${db}.`, pattern: "prefixed" };
};

export type AclNames = Readonly<{ include: readonly string[]; group: string; bootstrap: string }>;

const quotedName = (name: string): string => `'${name}'`;

const resourcesOf = ({ on }: AclNeed, { include, group }: AclNames): readonly string[] => {
  if (on === "cluster") return ["--cluster"];
  if (on === "group") return [`--group ${quotedName(group)}`];
  return new NamespaceFilter({ include, exclude: [] }).include
    .map(topicOf)
    .map(({ name, pattern }) => `--topic ${quotedName(name)} --resource-pattern-type ${pattern}`);
};

/** Commands of Kafka's own tool that allow it. */
const commandsOf = ({ principal, runs, needs }: AclRole, names: AclNames): readonly string[] => [
  `# ${runs.replaceAll("`", "")}`,
  ...needs.flatMap((need) => {
    const operations = need.operations.map((operation) => `--operation ${operation}`).join(" ");
    const allow = `kafka-acls.sh --bootstrap-server ${names.bootstrap} --add --allow-principal User:${principal} ${operations}`;
    return [`# ${need.why.replaceAll("`", "")}`, ...resourcesOf(need, names).map((resource) => `${allow} ${resource}`)];
  }),
];

/** The commands of these parts, in the order of the table. @param parts none: all of them */
export const aclsScript = (parts: readonly AclPart[], names: AclNames): string =>
  ACL_ROLES.filter(({ part }) => parts.length === 0 || parts.includes(part))
    .map((role) => commandsOf(role, names).join("\n"))
    .join("\n\n");
