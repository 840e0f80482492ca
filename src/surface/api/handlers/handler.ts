import type { RateOfCopy } from "#process/control/copyRate.ts";
import type { ControlServers } from "#process/control/cutoverReadiness.ts";
import type { SharedReading } from "#process/control/sharedReading.ts";
import type { SwitchDesk } from "#process/control/switchDesk.ts";
import { covers, type Role, type TokenFacts } from "#process/control/tokenStore.ts";
import type { Overview } from "#process/report/overview.ts";
import type { Author } from "#process/steer/auditLog.ts";
import type { AnswerOf, AskedOf } from "../contract/operation.ts";
import type { OPERATIONS, OperationName } from "../contract/operations.ts";

/** The migration at a glance, as one who looks again and again sees it. */
export type Watched = Overview & Readonly<{ rate: RateOfCopy }>;

/** What handlers work with. */
export type ControlParts = Readonly<{ servers: ControlServers; overview: SharedReading<Watched>; desk: SwitchDesk }>;

/** Who asks, and until when an answer is of use. */
export type Asking = Readonly<{ token: TokenFacts; signal: AbortSignal }>;

type OperationHandler<N extends OperationName> = (
  asked: AskedOf<(typeof OPERATIONS)[N]>,
  asking: Asking,
  parts: ControlParts,
) => Promise<AnswerOf<(typeof OPERATIONS)[N]>>;

/** Operations that the server answers itself. */
type OfTheServer = "getOpenApi" | "watchOverview";

export type Handlers = { readonly [N in Exclude<OperationName, OfTheServer>]: OperationHandler<N> };

export const authorOf = ({ id, name }: TokenFacts): Author => ({
  via: "api",
  who: name === null ? `token ${id}` : `token ${id} (${name})`,
});

/** Documents are for those who may change something; a viewer sees that there are some. */
export const seesDocuments = (role: Role): boolean => covers(role, "operator");
