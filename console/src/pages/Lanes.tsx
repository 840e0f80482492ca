import { useMemo } from "react";
import type { Answer, Lane } from "../data/operations.ts";
import { useAsked } from "../data/useAsked.ts";
import { Head } from "../parts/Head.tsx";
import { Empty, ShownList } from "../parts/Shown.tsx";
import { type Column, WindowedTable } from "../parts/WindowedTable.tsx";
import { bytes, count, duration, plural, short, sum } from "../text/format.ts";
import { lagKind } from "../text/lanes.ts";

type Worker = Answer<"listWorkers">[number];

const COLUMNS: readonly Column<Lane>[] = [
  { name: "Route", width: "minmax(9rem, 2fr)", cell: ({ route }) => <span title={route}>{route}</span> },
  { name: "Lane", width: "5rem", cell: ({ partition, slice }) => `${partition}${slice === 0 ? "" : `.${slice}`}` },
  { name: "Waits", width: "6rem", isNumber: true, cell: ({ lag }) => count(lag) },
  { name: "Applied", width: "8rem", isNumber: true, cell: ({ counts }) => count(counts.applied) },
  { name: "Filtered", width: "7rem", isNumber: true, cell: ({ counts }) => count(counts.filtered) },
  { name: "Dead", width: "5rem", isNumber: true, cell: ({ counts }) => count(counts.dead) },
  {
    name: "Books",
    width: "8rem",
    cell: ({ imbalance }) =>
      imbalance === 0 ? (
        <span className="badge good">balance</span>
      ) : (
        <span className="badge bad">off by {imbalance}</span>
      ),
  },
  {
    name: "Owner",
    width: "minmax(8rem, 2fr)",
    cell: ({ owner }) => <span title={owner ?? ""}>{owner ?? "none"}</span>,
  },
];

const laneKey = ({ route, topic, partition, slice }: Lane): string => `${route}/${topic}/${partition}/${slice}`;

const MapOf = ({ route, lanes }: Readonly<{ route: string; lanes: readonly Lane[] }>) => (
  <section className="card" aria-label={`Lanes of ${route}`}>
    <div className="card-head">
      <h3>{route}</h3>
      <span className="quiet number">
        {plural(lanes.length, "lane")}, {count(sum(lanes, ({ lag }) => lag))} wait
      </span>
    </div>
    <ul className="lanes-map">
      {lanes.map((lane) => (
        <li
          key={laneKey(lane)}
          className={lane.imbalance === 0 ? lagKind(lane.lag) : "bad"}
          title={`partition ${lane.partition}, lane ${lane.slice}: ${count(lane.lag)} wait, ${lane.owner ?? "no owner"}`}
        >
          <span className="hidden">
            partition {lane.partition} lane {lane.slice} waits{" "}
          </span>
          {short(lane.lag).replace(" ", "")}
        </li>
      ))}
    </ul>
  </section>
);

const WorkerCard = ({ worker: { id, host, pid, alive, seenMsAgo, report } }: Readonly<{ worker: Worker }>) => (
  <li className="card">
    <div className="card-head">
      <h3>{id}</h3>
      <span className={alive ? "badge good" : "badge"}>
        {alive ? "alive" : `gone, seen ${duration(seenMsAgo)} ago`}
      </span>
    </div>
    <dl className="facts number">
      <dt>Where</dt>
      <dd>
        {host}, process {pid}
      </dd>
      <dt>Applies</dt>
      <dd>
        {count(report.appliedPerSecond)}/s, {bytes(report.bytesPerSecond)}/s
      </dd>
      <dt>Behind</dt>
      <dd>{report.lagMs === null ? "not known" : duration(report.lagMs)}</dd>
      <dt>Holds</dt>
      <dd>
        {plural(report.partitions.length, "partition")}, {bytes(report.bufferedBytes)} buffered
      </dd>
      <dt>Memory</dt>
      <dd>{count(report.rssMb)} MiB</dd>
      <dt>Guarantee</dt>
      <dd>{report.guarantee}</dd>
      {report.throttle !== null && (
        <>
          <dt>Throttled to</dt>
          <dd>
            {Math.round(report.throttle.share * 100)} %, latency{" "}
            {report.throttle.latencyMs === null ? "not known" : duration(report.throttle.latencyMs)} of{" "}
            {duration(report.throttle.limitMs)}
          </dd>
        </>
      )}
    </dl>
  </li>
);

const Workers = () => {
  const looked = useAsked("listWorkers");
  return (
    <section aria-labelledby="workers">
      <h2 id="workers">Workers</h2>
      <ShownList
        looked={looked}
        what="the workers"
        empty={
          <Empty
            text="No worker has reported."
            more="`ferry run` applies by itself; with Kafka, start `ferry worker`."
          />
        }
      >
        {(workers) => (
          <ul className="two">
            {workers
              .toSorted((a, b) => Number(b.alive) - Number(a.alive))
              .map((worker) => (
                <WorkerCard key={worker.id} worker={worker} />
              ))}
          </ul>
        )}
      </ShownList>
    </section>
  );
};

const LanesOf = ({ lanes }: Readonly<{ lanes: readonly Lane[] }>) => {
  const byRoute = useMemo(() => [...Map.groupBy(lanes, ({ route }) => route)], [lanes]);
  return (
    <>
      <div className="notes">
        {byRoute.slice(0, 12).map(([route, own]) => (
          <MapOf key={route} route={route} lanes={own} />
        ))}
        {byRoute.length > 12 && (
          <p className="quiet">{plural(byRoute.length - 12, "more route")} in the table below.</p>
        )}
      </div>
      <WindowedTable name="Lanes" rows={lanes} columns={COLUMNS} keyOf={laneKey} least="62rem" />
    </>
  );
};

/** What applies, and how far each lane is. */
export const LanesPage = () => {
  const looked = useAsked("listLanes");
  return (
    <>
      <Head title="Lanes & workers" about="A lane applies one slice of a partition in order, with books of its own." />
      <section aria-labelledby="lanes" className="notes">
        <h2 id="lanes">Lanes</h2>
        <ShownList
          looked={looked}
          what="the lanes"
          empty={<Empty text="There are no lanes yet." more="They appear when the first records are applied." />}
        >
          {(lanes) => <LanesOf lanes={lanes} />}
        </ShownList>
      </section>
      <Workers />
    </>
  );
};
