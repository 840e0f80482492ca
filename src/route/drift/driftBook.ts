import type { StateTx } from "#base/flow/stateTx.ts";
import type { DriftDecision, DriftRecord } from "./ledger.ts";
import type { Change } from "./observer.ts";

/** The drift ledger of a route, as its gates work with it. Every method throws FERRY_MONGO_*. */
export interface DriftBook {
  /** Adds what a partition's lanes saw, within a lane's transaction where there is one. */
  write(
    where: Readonly<{ route: string; partition: number }>,
    changes: readonly Change[],
    tx: StateTx | undefined,
  ): Promise<void>;
  /** Everything known of a route, of some paths or of all, earliest first. */
  read(route: string, paths?: readonly string[]): Promise<readonly DriftRecord[]>;
  /** Has no document of the route been seen yet? */
  isEmpty(route: string): Promise<boolean>;
  decisions(route: string): Promise<readonly DriftDecision[]>;
}
