import { type ComponentType, type LazyExoticComponent, lazy } from "react";
import type { Overview } from "../data/operations.ts";
import { sum } from "../text/format.ts";

/** A number beside a page's name: what waits there. */
export type Mark = Readonly<{ n: number; what: string; isNote: boolean }>;

export type Page = Readonly<{
  path: string;
  title: string;
  View: LazyExoticComponent<ComponentType>;
  mark?: (overview: Overview) => Mark;
}>;

const page = <K extends string>(load: () => Promise<Readonly<Record<K, ComponentType>>>, name: K) =>
  lazy(async () => ({ default: (await load())[name] }));

/** All pages in the order of a migration; each is loaded when it is first looked at. */
export const PAGES: readonly Page[] = [
  { path: "", title: "Overview", View: page(() => import("../pages/Overview.tsx"), "OverviewPage") },
  { path: "copy", title: "Copy", View: page(() => import("../pages/Copy.tsx"), "CopyPage") },
  { path: "lanes", title: "Lanes & workers", View: page(() => import("../pages/Lanes.tsx"), "LanesPage") },
  {
    path: "routes",
    title: "Routes & filter",
    View: page(() => import("../pages/Routes.tsx"), "RoutesPage"),
    mark: ({ halted }) => ({ n: halted, what: "halted", isNote: false }),
  },
  {
    path: "drift",
    title: "Drift",
    View: page(() => import("../pages/Drift.tsx"), "DriftPage"),
    mark: ({ drift }) => ({ n: drift, what: "new fields or types", isNote: true }),
  },
  {
    path: "conflicts",
    title: "Conflicts",
    View: page(() => import("../pages/Conflicts.tsx"), "ConflictsPage"),
    mark: ({ conflicts }) => ({ n: sum(conflicts, (one) => one.count), what: "conflicts", isNote: true }),
  },
  {
    path: "dead-letters",
    title: "Dead letters",
    View: page(() => import("../pages/DeadLetters.tsx"), "DeadLettersPage"),
    mark: ({ letters }) => ({ n: sum(letters, (one) => one.letters), what: "dead letters", isNote: false }),
  },
  {
    path: "verification",
    title: "Verification",
    View: page(() => import("../pages/Verification.tsx"), "VerificationPage"),
    mark: ({ verification: { wrong, structureWrong } }) => ({
      n: wrong + structureWrong,
      what: "wrong",
      isNote: false,
    }),
  },
  { path: "cutover", title: "Cutover", View: page(() => import("../pages/Cutover.tsx"), "CutoverPage") },
  { path: "audit", title: "Audit", View: page(() => import("../pages/Audit.tsx"), "AuditPage") },
];
