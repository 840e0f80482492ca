import { useMemo } from "react";
import type { Sample } from "../../data/samples.ts";
import { Chart } from "../../parts/Chart.tsx";
import { duration, short } from "../../text/format.ts";

const rateText = (n: number): string => `${short(n)}/s`;
const secondsText = (n: number): string => (n === 0 ? "0" : duration(n * 1000).replace(".0", ""));

export const Charts = ({ samples }: Readonly<{ samples: readonly Sample[] }>) => {
  const at = useMemo(() => samples.map((sample) => sample.at), [samples]);
  const rate = useMemo(() => ({ at, values: samples.map(({ perSecond }) => perSecond) }), [at, samples]);
  const behind = useMemo(
    () => ({ at, values: samples.map(({ behindMs }) => (behindMs === null ? null : behindMs / 1000)) }),
    [at, samples],
  );
  const last = samples.at(-1);
  const lag = last?.behindMs ?? null;
  return (
    <div className="two">
      <section className="card" aria-labelledby="rate">
        <div className="card-head">
          <h2 id="rate">Documents per second</h2>
          <span className="number">{rateText(last?.perSecond ?? 0)}</span>
        </div>
        <Chart data={rate} text={rateText} summary={`Documents per second, now ${rateText(last?.perSecond ?? 0)}`} />
      </section>
      <section className="card" aria-labelledby="behind">
        <div className="card-head">
          <h2 id="behind">Behind the source</h2>
          <span className="number">{lag === null ? "not known" : duration(lag)}</span>
        </div>
        <Chart
          data={behind}
          text={secondsText}
          summary={`Behind the source, now ${lag === null ? "not known" : duration(lag)}`}
        />
      </section>
    </div>
  );
};
