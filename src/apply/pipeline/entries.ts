import type { Entry } from "#apply/plan/entry.ts";
import type { ChangeEvent, LogRecord } from "#base/flow/types.ts";

/** An entry of a record that no lane can make anything of. */
export const poison = (
  record: LogRecord,
  code: "FERRY_APPLY_POISON" | "FERRY_APPLY_NAMESPACE",
  detail: string,
): Entry => ({ record, event: undefined, dead: { code, detail } });

/** What is left of an event that is older than an applied drop. */
export const gone = ({ ns, origin, at }: ChangeEvent): ChangeEvent => ({
  op: "noop",
  reason: "dropped-since",
  ns,
  origin,
  at,
});
