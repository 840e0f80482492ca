import type { ConflictPolicy, Route } from "#base/config/routes.ts";
import type { WorkerOptions } from "#base/config/workerOptions.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { seriesOf } from "#base/flow/buckets.ts";
import { formatNamespace, parseNamespace } from "#base/flow/types.ts";

/** What to do with documents that target services write; `named` is false for the default. */
export const policyOf = (
  { conflict }: Pick<Route, "conflict">,
  options: Pick<WorkerOptions, "conflict">,
): Readonly<{ policy: ConflictPolicy; named: boolean }> => {
  const wanted = conflict ?? (options.conflict === "refuse" ? undefined : options.conflict);
  return { policy: wanted ?? "mirror", named: wanted !== undefined };
};

/**
 * Buckets are whole documents of the source's server: there is nothing in them to merge, and no change stream tells what the
 * target's services add to theirs. @throws FERRY_TARGET_POLICY
 */
export const requireMirror = ({ from }: Pick<Route, "from">, policy: ConflictPolicy): void => {
  const series = seriesOf(parseNamespace(from));
  if (series !== undefined && policy !== "mirror")
    throw new FerryError(
      "FERRY_TARGET_POLICY",
      `${formatNamespace(series)} is a time series, which is not possible under ${policy}: skip it, or give it a route with \`conflict: mirror\``,
    );
};
