import { destinationText } from "#base/config/destination.ts";
import { type DdlRules, plainRoute, type Route } from "#base/config/routes.ts";
import { EVERY_TOPIC, type WorkerOptions } from "#base/config/workerOptions.ts";
import type { ErrorCode } from "#base/errors/catalogue.ts";
import { listed } from "#base/flow/namespaceFilter.ts";
import { policyOf } from "#route/table/targetPolicy.ts";
import type { Abilities } from "#sink/sink.ts";

/** What a command asks of the targets of all its routes. What it leaves out asks for nothing. */
export type AskedOfTargets = Partial<Pick<WorkerOptions, "conflict" | "deltas" | "accept">> &
  Readonly<{
    /** False: there is no source that documents of updates could be read from. */
    source?: boolean;
    ddl?: DdlRules;
    recopy?: boolean;
    replaceTarget?: boolean;
  }>;

/** What a setting asks for that a route's target cannot do. */
export type Misfit = Readonly<{
  code: ErrorCode;
  /** Names the route, the setting and what the target lacks. */
  sentence: string;
  /** Undefined where the sentence has it. */
  remedy: string | undefined;
}>;

/** One setting, and what it needs. */
type Demand = Readonly<{
  /** The setting as it was given for this route; undefined where it asks for nothing. */
  setting: (route: Route, asked: AskedOfTargets) => string | undefined;
  needs: readonly (keyof Abilities)[];
  remedy: string;
  code: ErrorCode;
}>;

/** As the end of a sentence about a target. */
const LACKS: Readonly<Record<keyof Abilities, string>> = {
  transactions: "takes no part in the transactions of ferry's state",
  structure: "cannot be emptied and built again",
  foreignWrites: "does not tell what others write to it",
  incarnations: "cannot drop what it has now and nothing that comes later",
  keys: "does not list its documents",
  patches: "takes whole documents only",
  verbatim: "does not keep documents byte for byte",
};

const policy = (route: Route, { conflict = "refuse" }: AskedOfTargets) => policyOf(route, { conflict }).policy;

const conflict = (route: Route, asked: AskedOfTargets): string | undefined => {
  if (policy(route, asked) === "mirror") return undefined;
  return route.conflict === undefined ? `--conflict ${asked.conflict}` : `conflict: ${route.conflict}`;
};

const given = (setting: string, isGiven: boolean | undefined): string | undefined =>
  isGiven === true ? setting : undefined;

/** What of the source's deletions stays on the target; the operator can remove it, and say so. */
const LEFTOVERS = {
  code: "FERRY_TARGET_LEFTOVERS",
  remedy:
    "remove what the source no longer has from the target yourself, and start with --accept FERRY_TARGET_LEFTOVERS; or skip the namespace with --exclude",
} as const;

/**
 * All that a configuration or a command line can ask and a target may lack. The engine asks for nothing else: what it does with a
 * target that lacks more is in docs/43-sinks.md.
 */
export const DEMANDS: readonly Demand[] = [
  {
    setting: conflict,
    // The first one that is lacking is named. Documents that are there at the start are listed and marked; what others wrote is
    // read, merged and written.
    needs: ["foreignWrites", "transactions", "keys", "verbatim"],
    code: "FERRY_TARGET_POLICY",
    remedy:
      "use mirror; on MongoDB the other policies need a replica set or a sharded cluster, not a standalone server, with ferry's state beside the documents (no --state)",
  },
  {
    setting: (_, { deltas }) => given("--deltas apply", deltas === "apply"),
    needs: ["patches"],
    code: "FERRY_TARGET_ABILITY",
    remedy: "leave --deltas out, and each update is read from the source",
  },
  {
    setting: (_, { source }) => given("a run without --source", source === false),
    needs: ["patches"],
    code: "FERRY_TARGET_ABILITY",
    remedy: "give --source, from which the documents of updates are read",
  },
  {
    setting: (_, { ddl }) => given("ddl.drop: apply", ddl?.drop === "apply"),
    needs: ["incarnations"],
    code: "FERRY_TARGET_ABILITY",
    remedy: "leave ddl.drop out: then a drop is applied where the target can, and halts the route elsewhere",
  },
  {
    setting: (route, asked) => given("--recopy", asked.recopy === true && policy(route, asked) === "mirror"),
    needs: ["keys"],
    ...LEFTOVERS,
  },
  { setting: (_, { replaceTarget }) => given("--replace-target", replaceTarget), needs: ["structure"], ...LEFTOVERS },
];

const misfitOf = (route: Route, demand: Demand, asked: AskedOfTargets, can: Abilities): readonly Misfit[] => {
  const { code, remedy, needs } = demand;
  const setting = demand.setting(route, asked);
  const lacking = needs.find((ability) => !can[ability]);
  if (setting === undefined || lacking === undefined) return [];
  const sentence = `route ${route.name}: ${setting} is not possible, since ${destinationText(route.to)} ${LACKS[lacking]}`;
  return [{ code, sentence, remedy }];
};

/**
 * All that is asked and cannot be done.
 * @param routes those that are meant; undefined: every topic goes to the namespace of its name
 */
export const misfitsOf = (
  routes: readonly Route[] | undefined,
  asked: AskedOfTargets,
  abilities: (route: Route) => Abilities,
): readonly Misfit[] => {
  const accepted = listed(asked.accept ?? "").includes(LEFTOVERS.code);
  return (routes ?? [plainRoute(EVERY_TOPIC)])
    .flatMap((route) => DEMANDS.flatMap((demand) => misfitOf(route, demand, asked, abilities(route))))
    .filter(({ code }) => !(accepted && code === LEFTOVERS.code));
};
