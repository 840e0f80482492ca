import { Suspense, useEffect, useRef } from "react";
import { type Live, useLive, useWatching } from "../data/live.ts";
import { signOut, useSession } from "../data/session.ts";
import { WithCode } from "../parts/Note.tsx";
import { Waiting } from "../parts/Waiting.tsx";
import { short } from "../text/format.ts";
import { Brand } from "./Brand.tsx";
import { Guard } from "./Guard.tsx";
import { PAGES, type Page } from "./pageList.ts";
import { usePlace } from "./place.ts";

const LINKS = { connecting: "connecting", live: "live", lost: "connection lost, trying again" } as const;

const Top = ({ live }: Readonly<{ live: Live }>) => {
  const { holder } = useSession();
  return (
    <header className="top">
      <Brand />
      <p className="summary" title={live.overview?.summary}>
        <WithCode text={live.overview?.summary ?? ""} />
      </p>
      <p className={`link ${live.link}`} role="status" title={live.why}>
        {LINKS[live.link]}
      </p>
      {holder !== null && <span className="badge">{holder.name ?? holder.role}</span>}
      <button type="button" onClick={() => signOut()}>
        Sign out
      </button>
    </header>
  );
};

const MarkOf = ({ page, live }: Readonly<{ page: Page; live: Live }>) => {
  const mark = live.overview === undefined ? undefined : page.mark?.(live.overview);
  if (mark === undefined || mark.n === 0) return null;
  return (
    <span className={mark.isNote ? "mark calm" : "mark"}>
      {short(mark.n)}
      <span className="hidden"> {mark.what}</span>
    </span>
  );
};

const Side = ({ place, live }: Readonly<{ place: string; live: Live }>) => {
  const list = useRef<HTMLElement>(null);
  // On a phone the pages stand in one line.
  // biome-ignore lint/correctness/useExhaustiveDependencies: when the page changes
  useEffect(() => {
    const [at, bar] = [list.current?.querySelector<HTMLElement>("[aria-current]"), list.current];
    if (at != null && bar !== null) bar.scrollLeft = at.offsetLeft - (bar.clientWidth - at.offsetWidth) / 2;
  }, [place]);
  return (
    <nav className="side" aria-label="Pages" ref={list}>
      <ul>
        {PAGES.map((page) => (
          <li key={page.path}>
            <a href={`#/${page.path}`} aria-current={page.path === place ? "page" : undefined}>
              {page.title}
              <MarkOf page={page} live={live} />
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
};

/** What is around every page. */
export const Shell = ({ token }: Readonly<{ token: string }>) => {
  useWatching(token);
  const live = useLive();
  const place = usePlace();
  const main = useRef<HTMLElement>(null);
  const isFirst = useRef(true);
  const page = PAGES.find(({ path }) => path === place.split("?")[0]) ?? PAGES[0];

  // biome-ignore lint/correctness/useExhaustiveDependencies: when the page changes
  useEffect(() => {
    document.title = `${page?.title} · ferry`;
    if (!isFirst.current) main.current?.focus();
    isFirst.current = false;
  }, [page]);

  if (page === undefined) return null;
  return (
    <>
      <button type="button" className="skip" onClick={() => main.current?.focus()}>
        Skip to the page
      </button>
      <div className="shell">
        <Top live={live} />
        <Side place={page.path} live={live} />
        <main className="page" ref={main} tabIndex={-1}>
          <Guard key={page.path}>
            <Suspense fallback={<Waiting what={page.title} />}>
              <page.View />
            </Suspense>
          </Guard>
        </main>
      </div>
    </>
  );
};
