import type { Static } from "typebox";
import type { CONFLICT, DDL, DRIFT, ROUTE } from "./configFile.ts";
import { type Destination, destinationText } from "./destination.ts";

/** What to do with documents that services of the target write as well. */
export type ConflictPolicy = Static<typeof CONFLICT>;

/** What to do with changes of the source's structure. Without `drop`: as each target can. */
export type DdlRules = Static<typeof DDL>;

/** What to do with new fields and types. */
export type DriftPolicy = Required<Static<typeof DRIFT>>;

export const DEFAULT_DRIFT: DriftPolicy = { newField: "pass", typeChange: "pass", depth: 8 };

/** One stream from a source namespace into a target namespace, with lanes, books and dead letters of its own. */
export type Route = Readonly<
  Omit<Static<typeof ROUTE>, "name" | "to" | "drift"> & { name: string; to: Destination; drift: DriftPolicy }
>;

/** How a route is called that has no name of its own. */
export const nameOf = (from: string, to: Destination): string => {
  const text = destinationText(to);
  return text === from ? from : `${from}>${text}`;
};

/** What `ferry.yaml` says; without routes every topic goes to the namespace of its name. */
export type Config = Readonly<{ routes: readonly Route[] | undefined; ddl: DdlRules }>;

/** Without a configuration: a topic goes to the namespace of its name, untouched. */
export const plainRoute = (topic: string): Route => ({
  name: topic,
  from: topic,
  to: { mongodb: topic },
  drift: DEFAULT_DRIFT,
});
