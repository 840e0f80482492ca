import type { Topology } from "#io/mongo/connect.ts";

/** Where the MongoDB target lies: it decides what its collections can do. */
export type TargetSite = Readonly<{
  /** One server without a replica set: no transactions, no change streams. */
  standalone: boolean;
  /** Is ferry's state on another deployment? No transaction reaches both. */
  apart: boolean;
}>;

/** A replica set or a sharded cluster that holds ferry's state as well. */
export const BEST_SITE: TargetSite = { standalone: false, apart: false };

/** @param apart the deployment of ferry's state, where that is not the target's */
export const siteOf = ({ kind }: Pick<Topology, "kind">, apart: unknown): TargetSite => ({
  standalone: kind === "standalone",
  apart: apart !== undefined,
});
