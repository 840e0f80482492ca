/** Which rows of a list are chosen: some, or all but some. */
export type Chosen = Readonly<{ all: boolean; except: ReadonlySet<string> }>;

export const NONE: Chosen = { all: false, except: new Set() };

export const isChosen = ({ all, except }: Chosen, id: string): boolean => all !== except.has(id);

export const toggled = ({ all, except }: Chosen, id: string): Chosen => {
  const others = new Set(except);
  if (!others.delete(id)) others.add(id);
  return { all, except: others };
};

/** All, or none where all are. */
export const toggledAll = ({ all, except }: Chosen): Chosen =>
  all && except.size === 0 ? NONE : { all: true, except: new Set() };

/** @param total how many there are */
export const chosenCount = ({ all, except }: Chosen, total: number): number =>
  all ? Math.max(0, total - except.size) : except.size;
