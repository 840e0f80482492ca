import { useEffect, useSyncExternalStore } from "react";
import { ask, refusal } from "./ask.ts";
import { EventText } from "./eventText.ts";
import type { Overview } from "./operations.ts";
import { noAnswer, problemFrom } from "./problem.ts";
import { type Sample, sampleOf, withSample } from "./samples.ts";
import { currentSession, knowHolder, signOut } from "./session.ts";

/** What is known of the migration now, and how the page is connected. */
export type Live = Readonly<{
  link: "connecting" | "live" | "lost";
  why: string;
  overview: Overview | undefined;
  samples: readonly Sample[];
}>;

/** A stream that says nothing for this long is dead, ms: one in which nothing changes says so more often. */
const SILENT_MS = 25_000;
const AGAIN_MS = 1000;

const NOTHING: Live = { link: "connecting", why: "", overview: undefined, samples: [] };
let live = NOTHING;
const listeners = new Set<() => void>();

const change = (next: Partial<Live>): void => {
  live = { ...live, ...next };
  for (const listener of listeners) listener();
};

const take = (data: string): void => {
  const overview = JSON.parse(data) as Overview;
  change({ overview, samples: withSample(live.samples, sampleOf(overview)) });
};

/** Reads server-sent events by `fetch`, which sends the token in a header, as `EventSource` cannot. @throws Problem */
const follow = async (token: string, signal: AbortSignal): Promise<void> => {
  const silent = new AbortController();
  const wait = () => setTimeout(() => silent.abort(), SILENT_MS);
  let timer = wait();
  try {
    const response = await fetch("/api/v1/events", {
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.any([signal, silent.signal]),
    });
    if (!response.ok) throw await refusal(response);
    if (response.body === null) throw noAnswer("the stream is empty");
    change({ link: "live", why: "" });
    const events = new EventText();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      clearTimeout(timer);
      timer = wait();
      for (const data of events.add(read.value)) take(data);
    }
    throw noAnswer("the stream ended");
  } finally {
    clearTimeout(timer);
  }
};

const watch = async (token: string, signal: AbortSignal): Promise<void> => {
  while (!signal.aborted) {
    try {
      if (currentSession().holder === null) knowHolder(token, await ask("getToken", {}, signal));
      await follow(token, signal);
    } catch (error) {
      const problem = problemFrom(error);
      if (signal.aborted) return;
      if (problem.status === 401) return signOut(problem.message);
      change({ link: "lost", why: problem.message });
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
};

/** Follows the migration while the page is signed in with this token. */
export const useWatching = (token: string): void =>
  useEffect(() => {
    const ending = new AbortController();
    change(NOTHING);
    void watch(token, ending.signal);
    return () => ending.abort();
  }, [token]);

const subscribe = (listener: () => void): (() => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

export const useLive = (): Live => useSyncExternalStore(subscribe, () => live);
