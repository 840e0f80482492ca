import type { Overview } from "../../data/operations.ts";
import { Bar } from "../../parts/Bar.tsx";
import { Tile } from "../../parts/Tile.tsx";
import { count, duration, moment, percent, plural, shareOf, short, sum } from "../../text/format.ts";

const CopyTile = ({ overview: { capture, copy } }: Readonly<{ overview: Overview }>) => {
  if (capture === null || copy === null) return null;
  if (capture.phase !== "copy")
    return <Tile name="Copied" value={short(copy.documents)} more="the copy is complete" to="copy" />;
  const share = shareOf(copy.documents, copy.estimate);
  const left = copy.etaMs === null ? "" : `about ${duration(copy.etaMs)} left`;
  return (
    <Tile
      name="Copied"
      value={share === undefined ? short(copy.documents) : percent(Math.min(share, 0.99))}
      more={[`${count(copy.documents)} documents`, left].filter((one) => one !== "").join(", ")}
      to="copy"
    >
      {share !== undefined && <Bar share={Math.min(share, 0.99)} name="Copied" />}
    </Tile>
  );
};

const HistoryTile = ({ overview: { capture } }: Readonly<{ overview: Overview }>) => {
  const oplog = capture?.oplog ?? null;
  if (oplog === null) return null;
  const left = Math.max(0, oplog.leftSeconds);
  return (
    <Tile
      name="History left"
      value={duration(left * 1000)}
      more={`of ${duration(oplog.windowSeconds * 1000)} that the source keeps`}
      kind={oplog.short ? "bad" : ""}
    />
  );
};

const BooksTile = ({ overview: { lanes } }: Readonly<{ overview: Overview }>) => {
  const { received, applied, superseded, filtered, dead } = lanes.counts;
  const isGood = lanes.imbalanced === 0;
  return (
    <Tile
      name="Books"
      value={isGood ? "balance" : `${count(lanes.imbalanced)} do not balance`}
      more={`${short(received)} received = ${short(applied)} applied + ${short(superseded)} superseded + ${short(filtered)} filtered + ${short(dead)} dead`}
      kind={isGood ? "" : "bad"}
      to="lanes"
    />
  );
};

const VerificationTile = ({ overview: { verification } }: Readonly<{ overview: Overview }>) => {
  const { routes, finished, documents, wrong, structureWrong, verifiedTo } = verification;
  if (routes === 0) return <Tile name="Verification" value="never run" more="ferry verify" to="verification" />;
  const bad = wrong + structureWrong;
  const state = finished < routes ? "under way" : "nothing wrong";
  return (
    <Tile
      name="Verification"
      value={bad > 0 ? `${count(bad)} wrong` : state}
      more={`${plural(documents, "document")} compared${verifiedTo === null ? "" : `, up to ${moment(verifiedTo)}`}`}
      kind={bad > 0 ? "bad" : ""}
      to="verification"
    />
  );
};

/** What each page says in one number. */
export const Numbers = ({ overview }: Readonly<{ overview: Overview }>) => {
  const letters = sum(overview.letters, (one) => one.letters);
  const conflicts = sum(overview.conflicts, (one) => one.count);
  const { cutover, drift, halted, capture } = overview;
  return (
    <div className="tiles">
      <CopyTile overview={overview} />
      <HistoryTile overview={overview} />
      <BooksTile overview={overview} />
      <Tile
        name="Dead letters"
        value={letters === 0 ? "none" : count(letters)}
        more={overview.letters
          .filter((one) => one.letters > 0)
          .map((one) => `${one.route}: ${count(one.letters)}`)
          .join(", ")}
        kind={letters > 0 ? "bad" : ""}
        to="dead-letters"
      />
      {halted > 0 && <Tile name="Halted" value={plural(halted, "route")} kind="bad" to="routes" />}
      {capture?.spool != null && (
        <Tile
          name="Spool"
          value={percent(capture.spool.bytes / capture.spool.limitBytes)}
          more={capture.spool.full ?? "changes wait in files for the end of the copy"}
          kind={capture.spool.full === null ? "" : "warn"}
        />
      )}
      <Tile
        name="New fields and types"
        value={drift === 0 ? "none" : count(drift)}
        more={drift === 0 ? "" : "since the routes began"}
        to="drift"
      />
      <Tile name="Conflicts" value={conflicts === 0 ? "none" : count(conflicts)} to="conflicts" />
      <VerificationTile overview={overview} />
      <Tile
        name="Cutover"
        value={cutover === null ? "not begun" : cutover.state}
        more={cutover === null ? "see what is missing for it" : `pause ${duration(cutover.pauseMs)}`}
        to="cutover"
      />
    </div>
  );
};
