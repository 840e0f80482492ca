import { readFileSync } from "node:fs";

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EISDIR: "it is a folder",
  EACCES: "this user may not read it",
};

/** A text file that the operator named. @throws what `refuse` makes of the reason, in words */
export const readTextFile = (path: string, refuse: (reason: string) => Error): string => {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    throw refuse(REASONS[code] ?? `it cannot be read (${code})`);
  }
};
