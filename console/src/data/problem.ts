/** Why an answer is none: the API's own words, or that nobody answered. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly hint: string;

  constructor({
    status,
    code,
    detail,
    hint,
  }: Readonly<{ status: number; code: string; detail: string; hint: string }>) {
    super(detail);
    this.status = status;
    this.code = code;
    this.hint = hint;
  }
}

/** @param status 0 where there was no answer */
export const noAnswer = (detail: string, status = 0): Problem =>
  new Problem({
    status,
    code: "",
    detail,
    hint: "The page tries again by itself. `ferry control` may be stopped, or the network away.",
  });

export const problemFrom = (error: unknown): Problem =>
  error instanceof Problem ? error : noAnswer("ferry control does not answer.");
