import { useLive } from "../../data/live.ts";
import type { Lane, Overview } from "../../data/operations.ts";
import { useAsked } from "../../data/useAsked.ts";
import { shareStyle } from "../../parts/Bar.tsx";
import { bytes, count, duration, plural, short } from "../../text/format.ts";
import { lagKind, lagShare, partitionsOf } from "../../text/lanes.ts";

type Step = Readonly<{ name: string; value: string; more: string; kind: "" | "still" | "bad" }>;

const sourceStep = ({ capture }: Overview): Step => {
  if (capture === null) return { name: "Source", value: "by connectors", more: "", kind: "" };
  const { collections, oplog } = capture;
  const history = oplog === null ? "" : `${duration(Math.max(0, oplog.leftSeconds) * 1000)} of history left`;
  return { name: "Source", value: plural(collections, "collection"), more: history, kind: oplog?.short ? "bad" : "" };
};

const captureStep = ({ capture, copy }: Overview): Step => {
  if (capture === null) return { name: "Capture", value: "Kafka Connect", more: "", kind: "" };
  const { phase, state, owner, ended } = capture;
  const name = capture.mode === "direct" ? "Run" : "Capture";
  if (ended !== null) return { name, value: "ended", more: ended.code, kind: "bad" };
  if (owner === null)
    return { name, value: state === "finalized" ? "finalized" : "no process", more: phase, kind: "still" };
  const rate = phase === "copy" && copy?.perSecond ? `${short(copy.perSecond)} documents/s` : "following changes";
  return { name, value: state === "running" ? phase : state, more: rate, kind: state === "running" ? "" : "still" };
};

const workersStep = ({ workers, lanes, capture }: Overview): Step => {
  const isDirect = capture?.mode === "direct";
  return {
    name: isDirect ? "Lanes" : "Workers",
    value: isDirect ? plural(lanes.count, "lane") : `${count(workers.alive)} alive`,
    more: isDirect ? "apply in order" : workers.gone > 0 ? `${count(workers.gone)} gone` : plural(lanes.count, "lane"),
    kind: !isDirect && workers.alive === 0 ? "bad" : "",
  };
};

const targetStep = ({ lanes, workers }: Overview): Step => ({
  name: "Target",
  value: `${short(lanes.counts.applied)} applied`,
  more: workers.bytesPerSecond > 0 ? `${bytes(workers.bytesPerSecond)}/s` : `${short(workers.appliedPerSecond)}/s`,
  kind: "",
});

const Station = ({ step: { name, value, more, kind } }: Readonly<{ step: Step }>) => (
  <li className={kind}>
    <h3 className="quiet">{name}</h3>
    <span className="value">{value}</span>
    <span className="more">{more}</span>
  </li>
);

const Pipe = ({ flows }: Readonly<{ flows: boolean }>) => (
  <li className={flows ? "pipe flows" : "pipe"} aria-hidden="true" />
);

const LogStation = ({ overview, lanes }: Readonly<{ overview: Overview; lanes: readonly Lane[] }>) => {
  const partitions = partitionsOf(lanes);
  const isDirect = overview.capture?.mode === "direct";
  return (
    <li>
      <h3 className="quiet">{isDirect ? "On the way" : "Topics"}</h3>
      <span className="value">
        {overview.lanes.waiting === 0 ? "nothing waits" : `${short(overview.lanes.waiting)} wait`}
      </span>
      <span className="more">{isDirect ? "no log between" : plural(partitions.length, "partition")}</span>
      {!isDirect && (
        <span className="partitions" aria-hidden="true">
          {partitions.map(({ key, lag }) => (
            <span key={key} className={lagKind(lag)} style={shareStyle(lagShare(lag))} />
          ))}
        </span>
      )}
    </li>
  );
};

/** Where a document goes, with what waits and flows there now. */
export const DocumentPath = ({ overview }: Readonly<{ overview: Overview }>) => {
  const { answer: lanes = [] } = useAsked("listLanes");
  const captures = captureStep(overview).kind === "";
  const { samples } = useLive();
  const applies =
    samples.slice(-5).some(({ perSecond }) => perSecond > 0) || (captures && overview.capture?.phase === "copy");
  return (
    <ol className="path">
      <Station step={sourceStep(overview)} />
      <Pipe flows={captures} />
      <Station step={captureStep(overview)} />
      <Pipe flows={captures} />
      <LogStation overview={overview} lanes={lanes} />
      <Pipe flows={applies} />
      <Station step={workersStep(overview)} />
      <Pipe flows={applies} />
      <Station step={targetStep(overview)} />
    </ol>
  );
};
