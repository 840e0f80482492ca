import { useSyncExternalStore } from "react";
import type { Answer, Role } from "./operations.ts";

/** Of this tab, until it is closed. Nothing is sent by itself, as a cookie would be. */
const KEPT = "ferry-token";

export type Holder = Answer<"getToken">;

/** Who is signed in. `why` is what the last session ended with. */
export type Session = Readonly<{ token: string | null; holder: Holder | null; why: string }>;

let session: Session = { token: sessionStorage.getItem(KEPT), holder: null, why: "" };
const listeners = new Set<() => void>();

const change = (next: Session): void => {
  session = next;
  for (const listener of listeners) listener();
};

export const currentSession = (): Session => session;

export const signIn = (token: string): void => {
  sessionStorage.setItem(KEPT, token);
  change({ token, holder: null, why: "" });
};

export const signOut = (why = ""): void => {
  sessionStorage.removeItem(KEPT);
  change({ token: null, holder: null, why });
};

export const knowHolder = (token: string, holder: Holder): void => {
  if (session.token === token) change({ ...session, holder });
};

const subscribe = (listener: () => void): (() => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

export const useSession = (): Session => useSyncExternalStore(subscribe, currentSession);

const ORDER: readonly Role[] = ["viewer", "operator", "cutover"];

/** May the one who is signed in do what needs this role? The API decides; the page only does not offer what it would refuse. */
export const useMay = (role: Role): boolean => {
  const { holder } = useSession();
  return holder !== null && ORDER.indexOf(holder.role) >= ORDER.indexOf(role);
};
