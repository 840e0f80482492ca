import { useState } from "react";
import type { Answer } from "../data/operations.ts";
import { useMay } from "../data/session.ts";
import { useAsked } from "../data/useAsked.ts";
import { Head } from "../parts/Head.tsx";
import { Note } from "../parts/Note.tsx";
import { Empty, ShownList } from "../parts/Shown.tsx";
import { RoutePreview } from "./routes/RoutePreview.tsx";

type Route = Answer<"listRoutes">[number];

const Row = ({ route, onTry }: Readonly<{ route: Route; onTry: (() => void) | undefined }>) => (
  <tr>
    <th scope="row">{route.route}</th>
    <td>{route.to}</td>
    <td>{route.hasRules ? <span className="badge accent">rules</span> : "as it is"}</td>
    <td>
      fields {route.newField}, types {route.typeChange}
    </td>
    <td>{route.conflict ?? "source wins"}</td>
    <td>
      {onTry !== undefined && (
        <button type="button" onClick={onTry}>
          Preview<span className="hidden"> {route.route}</span>
        </button>
      )}
    </td>
  </tr>
);

const Notes = () => {
  const { answer } = useAsked("listRouteNotes");
  if (answer === undefined || answer.halted.length + answer.notes.length === 0) return null;
  return (
    <div className="notes">
      {answer.halted.map(({ route, code, detail }) => (
        <Note key={`${route}/${code}`} kind="bad" text={`${route} is halted: ${detail}`} more={code} />
      ))}
      {answer.notes.map(({ route, code, detail }) => (
        <Note key={`${route}/${code}`} kind="plain" text={`${route}: ${detail}`} more={code} />
      ))}
    </div>
  );
};

/** What goes where, and what each route makes of documents. */
export const RoutesPage = () => {
  const looked = useAsked("listRoutes", {}, 10_000);
  const may = useMay("operator");
  const [tried, setTried] = useState<Route>();
  return (
    <>
      <Head
        title="Routes & filter"
        about="Routes are configured in ferry.yaml. A preview shows what rules do to real documents; it writes nothing."
      />
      <Notes />
      <ShownList
        looked={looked}
        what="the routes"
        empty={
          <Empty
            text="There are no routes yet."
            more="Without a configuration, each collection has one as soon as it is applied."
          />
        }
      >
        {(routes) => (
          // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by the keyboard
          <div className="card scroll" tabIndex={0} role="region" aria-label="Routes">
            <table>
              <thead>
                <tr>
                  <th scope="col">Route</th>
                  <th scope="col">Goes to</th>
                  <th scope="col">Rules</th>
                  <th scope="col">New ones</th>
                  <th scope="col">Conflicts</th>
                  <th scope="col">
                    <span className="hidden">Preview</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {routes.map((route) => (
                  <Row key={route.route} route={route} onTry={may ? () => setTried(route) : undefined} />
                ))}
              </tbody>
            </table>
          </div>
        )}
      </ShownList>
      {!may && <p className="quiet">Previews show documents: they need a token with role operator.</p>}
      {tried !== undefined && <RoutePreview key={tried.route} route={tried} />}
    </>
  );
};
