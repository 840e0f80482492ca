import { type RunState, type SeenRun, stateOf, type Trouble } from "#source/capture/captureLifecycle.ts";

/** A run as JSON tells it: what an operator wants of it, as far as it has followed. */
export type RunFacts = Readonly<{
  state: RunState;
  /** The process that owns it; null where it does not run. */
  owner: string | null;
  /** What its last process ended with; null where one is at work, or was stopped as asked. */
  ended: Trouble | null;
}>;

export const runFacts = ({ record, owned }: SeenRun): RunFacts => ({
  state: stateOf(record),
  owner: owned ? record.owner : null,
  ended: owned ? null : (record.ended ?? null),
});
