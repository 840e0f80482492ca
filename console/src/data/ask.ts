import { type Answer, ASKED, type Asked, type Question } from "./operations.ts";
import { noAnswer, Problem, problemFrom } from "./problem.ts";
import { currentSession, signOut } from "./session.ts";

const API = "/api/v1";
/** A question that takes longer has no answer, ms: a slow server holds nothing up. */
const PATIENCE_MS = 20_000;

/** Method and address of an operation, its parameters filled in. */
export const addressOf = <N extends Asked>(name: N, { params, query }: Question<N>): readonly [string, string] => {
  const [method = "GET", path = ""] = ASKED[name].split(" ");
  const given: Readonly<Record<string, unknown>> = { ...params };
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, key: string) => encodeURIComponent(String(given[key])));
  const asked = Object.entries({ ...query }).filter(([, value]) => value !== undefined && value !== "");
  const search = new URLSearchParams(asked.map(([key, value]) => [key, String(value)])).toString();
  return [method, `${API}${filled}${search === "" ? "" : `?${search}`}`];
};

/** @throws Problem for an answer that is no success */
export const refusal = async (response: Response): Promise<Problem> => {
  try {
    return new Problem({ status: response.status, ...((await response.json()) as object) } as Problem & {
      detail: string;
    });
  } catch {
    return noAnswer(`the server answers with status ${response.status}`, response.status);
  }
};

/** Asks the API. @throws Problem */
export const ask = async <N extends Asked>(
  name: N,
  question: Question<N> = {},
  signal?: AbortSignal,
): Promise<Answer<N>> => {
  const { token } = currentSession();
  const [method, address] = addressOf(name, question);
  const late = AbortSignal.timeout(PATIENCE_MS);
  const { body } = question as { body?: unknown };
  const response = await fetch(address, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: signal === undefined ? late : AbortSignal.any([signal, late]),
  }).catch((error: unknown) => {
    throw problemFrom(error);
  });
  if (!response.ok) {
    const problem = await refusal(response);
    if (problem.status === 401 && currentSession().token === token) signOut(problem.message);
    throw problem;
  }
  return (await response.json()) as Answer<N>;
};
