import { type FormEvent, useState } from "react";
import type { Answer } from "../../data/operations.ts";
import { useAct } from "../../data/useAct.ts";
import { Diff } from "../../parts/Diff.tsx";
import { ProblemNote } from "../../parts/Shown.tsx";
import { bytes, count, plural } from "../../text/format.ts";
import { pathsOf, whereOf } from "../../text/ruleText.ts";

type Route = Answer<"listRoutes">[number];
type Trial = Answer<"previewRoute">;
type Fields = Readonly<{ allow?: string[]; deny?: string[] }>;

const Summary = ({ trial }: Readonly<{ trial: Trial }>) => {
  const { documents, leftOut, bytesBefore, bytesAfter, lost } = trial;
  const saved = bytesBefore === 0 ? 0 : Math.round((1 - bytesAfter / bytesBefore) * 100);
  const paths = Object.entries(lost).toSorted(([, a], [, b]) => b - a);
  return (
    <>
      <p>
        Of {plural(documents.length, "document")}, {count(leftOut)} would be left out. {bytes(bytesBefore)} become{" "}
        {bytes(bytesAfter)}: {saved} % less.
      </p>
      {paths.length > 0 && (
        <p>
          Fields that stay out:{" "}
          {paths.map(([path, n]) => (
            <span key={path}>
              <code>{path}</code> in {count(n)}{" "}
            </span>
          ))}
        </p>
      )}
    </>
  );
};

/** What rules make of a sample of the source's documents. */
export const RoutePreview = ({ route }: Readonly<{ route: Route }>) => {
  const { isBusy, done, problem, run } = useAct("previewRoute");
  const fields = (route.rules?.fields ?? {}) as Fields;
  const [allow, setAllow] = useState((fields.allow ?? []).join(", "));
  const [deny, setDeny] = useState((fields.deny ?? []).join(", "));
  const [where, setWhere] = useState(route.rules?.where == null ? "" : JSON.stringify(route.rules.where));
  const [flaw, setFlaw] = useState("");
  const ask = (isOwn: boolean): void => {
    const given = whereOf(where);
    setFlaw(typeof given === "string" ? given : "");
    if (typeof given === "string") return;
    const other = {
      ...(allow.trim() === "" ? {} : { allow: pathsOf(allow) }),
      deny: pathsOf(deny),
      ...(given === undefined ? {} : { where: given }),
    };
    void run({ body: { route: route.route, ...(isOwn ? {} : other) } });
  };
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    ask(false);
  };
  return (
    <section className="card" aria-labelledby="preview">
      <h2 id="preview">Preview of {route.route}</h2>
      <form className="notes" onSubmit={submit}>
        <div className="two">
          <label>
            Only these fields
            <input value={allow} onChange={(event) => setAllow(event.target.value)} placeholder="name, address.city" />
          </label>
          <label>
            Without these fields
            <input value={deny} onChange={(event) => setDeny(event.target.value)} placeholder="password, notes.*" />
          </label>
        </div>
        <label>
          Only documents for which (a query, as JSON)
          <input value={where} onChange={(event) => setWhere(event.target.value)} placeholder={'{"active": true}'} />
        </label>
        {flaw !== "" && (
          <p role="alert" className="quiet">
            {flaw}
          </p>
        )}
        <div className="row">
          <button className="main" type="submit" disabled={isBusy}>
            {isBusy ? "Reading a sample…" : "Try these rules"}
          </button>
          <button type="button" disabled={isBusy} onClick={() => ask(true)}>
            Try the configured rules
          </button>
        </div>
      </form>
      {problem !== undefined && <ProblemNote problem={problem} />}
      {done !== undefined && (
        <>
          <Summary trial={done} />
          <ol className="notes">
            {done.documents.slice(0, 10).map(({ before, after }, n) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: a sample has no names
              <li key={n}>
                {after === null && <span className="badge warn">left out</span>}
                <Diff before={before} after={after} name={`Document ${n + 1} before and after`} />
              </li>
            ))}
          </ol>
        </>
      )}
    </section>
  );
};
