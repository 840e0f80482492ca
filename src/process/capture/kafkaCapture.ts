import { formatNamespace } from "#base/flow/types.ts";
import { unlessStopped } from "#base/flow/unlessStopped.ts";
import { writesOf } from "#cutover/ending/lastLook.ts";
import { type AwaitedServer, serversOf, throughOutages, whenFirstAnswers } from "#io/mongo/outages.ts";
import { checkRights } from "./captureChecks.ts";
import { leaving, openCapture, standingLagOf } from "./captureOpening.ts";
import { type BegunCapture, replaceCapture, startCapture } from "./captureStart.ts";
import { type CaptureParts, type KafkaCaptureDeps, wireCapture, wireCaptureSession } from "./captureWiring.ts";
import { replaceTopics } from "./replaceTopics.ts";
import { RunLifecycle, type Session } from "./runLifecycle.ts";

/**
 * `ferry capture`: the source into Kafka topics, in place of the connector. What it must remember is on the target, as all of
 * ferry's state. @throws one clear sentence before anything is written; later what made it stop
 */
export const runKafkaCapture = (deps: KafkaCaptureDeps): Promise<void> => unlessStopped(runWired(deps), deps.hard);

const runWired = async (deps: KafkaCaptureDeps): Promise<void> => {
  await using parts = await wireCapture(deps);
  const { clock, logger, vitals, leaseMs, soft, hard } = deps;
  const { sides, client, store } = parts;
  const { source, state } = sides;
  const outages = { clock, logger, signal: soft };
  const kafka: AwaitedServer = { name: `Kafka at ${deps.settings.kafka}`, ask: () => client.topics() };
  await whenFirstAnswers(kafka, outages); // before anything is noted
  const servers = [...serversOf(sides), kafka];
  const begun = await throughOutages("beginning", servers, outages, () => beginBetween(deps, parts));
  const lifecycle = new RunLifecycle({
    ...{ store, leaseMs, servers, clock, logger, vitals, soft, hard },
    writesTo: "Kafka",
    standingLag: standingLagOf(begun.start),
    // The workers may still have much to apply: `ferry finalize` looks at the target when they have.
    lastLook: (record) => writesOf(record, { source, state, signal: soft }),
  });
  await leaving(deps, store, async () => {
    const drained = await lifecycle.run(begun.goesOn, (session) => captureInto(deps, parts, begun, session));
    if (drained)
      logger.info(
        { stage: "finalize" },
        "drained: everything is in Kafka, and `ferry finalize` continues with the workers",
      );
  });
};

/** Looks at both sides, notes the start or finds what was noted, and owns the capture. What is cut off in the middle may be done again. */
const beginBetween = async (deps: KafkaCaptureDeps, parts: CaptureParts): Promise<BegunCapture> => {
  const { leaseMs, clock, logger, vitals, hard } = deps;
  const { sides, client, store, structure } = parts;
  const { source, target, state } = sides;
  const opening = await openCapture(deps, sides, { store, mode: "kafka", leaseMs, accept: deps.accept });
  const { start, replaces, known, former, carried } = opening;
  await checkRights({ source, target, carried, routes: [], stateDb: state.name });
  if (known === undefined && (deps.structure || replaces)) await structure.check(replaces);
  if (replaces) {
    const names = former.map(({ route }) => route);
    await structure.idle(names);
    const topics = [...new Set([...carried.map(formatNamespace), ...former.map(({ topic }) => topic)])];
    // The topics first: their records must not be applied to a target that was just emptied.
    await replaceCapture(start, deps.spool.dir, async () => {
      await replaceTopics({ client, clock, logger, vitals, hard }, topics);
      await structure.replace(names);
    });
  }

  await startCapture(start, carried, deps.recopy);
  return { start, carried, goesOn: known !== undefined && !deps.recopy };
};

/** One session: structure, copy and stream from where the record stands, until it ends. */
const captureInto = async (
  deps: KafkaCaptureDeps,
  parts: CaptureParts,
  begun: BegunCapture,
  session: Session,
): Promise<void> => {
  // After the start position: what changes from here on is in the stream, and followed.
  if (deps.structure && session.record.phase === "copy") await parts.structure.build(session.goesOn);
  await using wired = await wireCaptureSession(deps, parts, begun, session);
  deps.logger.info({ stage: "capture" }, `writing to Kafka at ${deps.settings.kafka}`);
  await wired.capture.run(session.ending, deps.hard);
};
